//! Reading and writing a socket by the bare system calls, and what a socket to this machine itself is told.
//!
//! In a program of several threads glibc makes each such call a point at which its thread may be cancelled. At four calls for
//! every request that is passed on, it shows.

use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::io::retry_on_intr;
use rustix::net::{RecvFlags, SendFlags, recv, send, sockopt};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

/// Reads as [`TcpStream`] does.
pub(crate) fn poll_read(
    stream: &TcpStream,
    cx: &mut Context<'_>,
    buffer: &mut ReadBuf<'_>,
) -> Poll<io::Result<()>> {
    let room = buffer.initialize_unfilled();
    let n_bytes = loop {
        ready!(stream.poll_read_ready(cx))?;
        let read = call(stream, Interest::READABLE, room.len(), || {
            let (n_bytes, _) = recv(stream, &mut *room, RecvFlags::empty())?;
            Ok(n_bytes)
        });
        if let Some(n_bytes) = read? {
            break n_bytes;
        }
    };
    buffer.advance(n_bytes);
    Poll::Ready(Ok(()))
}

/// Writes as [`TcpStream`] does.
pub(crate) fn poll_write(stream: &TcpStream, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
    loop {
        ready!(stream.poll_write_ready(cx))?;
        let written =
            call(stream, Interest::WRITABLE, bytes.len(), || send(stream, bytes, SendFlags::NOSIGNAL));
        if let Some(n_bytes) = written? {
            return Poll::Ready(Ok(n_bytes));
        }
    }
}

/// Makes a call on a socket that is ready for it; `None` if it turns out not to be. After one that moved less than was asked for
/// the socket has no more to give or take, which is taken down, so that nobody asks only to hear so (epoll(7), question 9).
fn call(
    stream: &TcpStream,
    interest: Interest,
    n_wanted: usize,
    mut call: impl FnMut() -> rustix::io::Result<usize>,
) -> io::Result<Option<usize>> {
    let mut moved = None;
    let called = stream.try_io(interest, || {
        let n_bytes = retry_on_intr(&mut call)?;
        moved = Some(n_bytes);
        if (1..n_wanted).contains(&n_bytes) { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
    });
    match called {
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        _ => Ok(moved),
    }
}

/// A socket under TLS.
#[derive(Debug)]
pub struct Socket(pub(crate) TcpStream);

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        poll_read(&self.0, cx, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        poll_write(&self.0, cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match buffers {
            [bytes] => poll_write(&self.0, cx, bytes),
            _ => Pin::new(&mut self.0).poll_write_vectored(cx, buffers),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// Has a socket to an address of this machine do without the congestion control that is chosen for networks. Over loopback
/// nothing is lost and nothing queues: what BBR measures and paces there is a twentieth of the cost of a small request.
/// Connections that a listening socket accepts have what it has.
pub(crate) fn spare_congestion_control(socket: impl AsFd, address: IpAddr) {
    if address.is_loopback() {
        // A system that does not know it keeps its own, which does no harm.
        let _ = sockopt::set_tcp_congestion(socket, "reno");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    /// A pair of connected sockets.
    async fn pair() -> (Socket, Socket) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (Socket(client), Socket(listener.accept().await.unwrap().0))
    }

    #[tokio::test]
    async fn everything_comes_through_however_much_fits_at_a_time() {
        let (mut client, mut server) = pair().await;
        let sent: Vec<u8> = (0..8 << 20).map(|index: u32| index.to_le_bytes()[index as usize % 3]).collect();
        let expected = sent.clone();
        let writing = async move {
            client.write_all(&sent).await.unwrap();
            client.shutdown().await.unwrap();
        };
        let reading = async move {
            let (mut all, mut some) = (Vec::new(), vec![0; 1000]);
            loop {
                let n_bytes = server.read(&mut some).await.unwrap();
                if n_bytes == 0 {
                    return all;
                }
                all.extend_from_slice(&some[..n_bytes]);
            }
        };
        let ((), all) = tokio::join!(writing, reading);
        assert!(all == expected, "{} bytes", all.len());
    }

    #[tokio::test]
    async fn who_has_gone_is_an_error_and_no_signal() {
        let (mut client, server) = pair().await;
        server.0.set_zero_linger().unwrap();
        drop(server);
        let read = client.read(&mut [0]).await;
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(client.write(b"x").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    #[tokio::test]
    async fn over_loopback_connections_do_without_what_networks_need() {
        let address = "127.0.0.1:0".parse().unwrap();
        let listener = crate::bind(address, 1).unwrap().remove(0);
        let address = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        let (opened, accepted) = tokio::join!(
            crate::connect(address, None, None, std::time::Duration::from_secs(10)),
            listener.accept()
        );
        let crate::Stream::Plain(opened) = opened.unwrap() else { panic!("it is in TLS") };
        for stream in [opened, accepted.unwrap().0] {
            assert_eq!(sockopt::tcp_congestion(&stream).unwrap(), "reno");
        }
    }
}
