//! A target of others that does what it is told. Each line that it reads is a word, and is answered by the same as JSON:
//!
//! - `answer`: it gives every request the same answer
//! - `fail`: it gives every request an answer of 500
//! - `hang`: it takes requests and says nothing. They are never answered: their connections end with the next word
//!
//! usage: `faulty BODY ADDRESS…`

use std::error::Error;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;

/// The latest word.
static WORD: Mutex<Word> = Mutex::new(Word::Answer);
static NEXT: Condvar = Condvar::new();

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Answer,
    Fail,
    Hang,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let body = arguments.next().ok_or("usage: faulty BODY ADDRESS…")?;
    for address in arguments {
        let (listener, body) = (TcpListener::bind(address)?, body.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let body = body.clone();
                thread::spawn(move || serve(&stream, &body));
            }
        });
    }
    for line in io::stdin().lines() {
        let line = line?;
        let word = match line.as_str() {
            "answer" => Word::Answer,
            "fail" => Word::Fail,
            "hang" => Word::Hang,
            other => return Err(format!("`{other}` is no word").into()),
        };
        *WORD.lock().unwrap_or_else(PoisonError::into_inner) = word;
        NEXT.notify_all();
        println!("\"{line}\"");
    }
    Ok(())
}

/// Answers the requests of a connection for as long as it lasts.
fn serve(stream: &TcpStream, body: &str) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut reader, mut writer) = (BufReader::new(stream), stream);
    while read_request(&mut reader)? {
        let word = WORD.lock().unwrap_or_else(PoisonError::into_inner);
        let status = match *word {
            Word::Answer => "200 OK",
            Word::Fail => "500 Internal Server Error",
            Word::Hang => {
                drop(NEXT.wait_while(word, |word| *word == Word::Hang));
                return Ok(());
            }
        };
        drop(word);
        let length = body.len();
        write!(writer, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}")?;
    }
    Ok(())
}

/// Reads a request whole, whatever it is. Tells whether there was one.
fn read_request(reader: &mut BufReader<&TcpStream>) -> io::Result<bool> {
    let (mut line, mut length) = (String::new(), 0);
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(false);
        }
        let field = line.trim_end().to_ascii_lowercase();
        if field.is_empty() {
            break;
        }
        if let Some(value) = field.strip_prefix("content-length:") {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
    }
    io::copy(&mut reader.take(length), &mut io::sink())?;
    Ok(true)
}
