//! Taking in what the other side sends.

use std::rc::Rc;

use http::StatusCode;

use super::state::{Ending, LAST, Opened, Side, State, narrowed};
use crate::h2::frame;
use crate::h2::messages::{RequestFields, ResponseFields, TrailerFields};
use crate::h2::reader::{Frame, Reader};
use crate::h2::reason::Reason;
use crate::h2::stream::{Over, Stream};
use crate::{Rejection, clock};

/// What the other side broke.
enum Breach {
    /// The rules of one stream, which alone ends.
    OfStream(Reason),
    /// Those of the connection.
    OfConnection(Reason),
}

// === impl State ===

impl State {
    /// See [`super::Link::receive`].
    pub(super) fn receive(&mut self, mut bytes: &[u8]) -> Result<(), Reason> {
        // Taken out while its frames, which may be its own bytes, are looked at.
        let nothing = Reader::of_server(0);
        let mut reader = std::mem::replace(&mut self.reader, nothing);
        let received = loop {
            match reader.next(&mut bytes) {
                Ok(Some(frame)) => {
                    if let Err(reason) = self.take(&frame) {
                        break Err(reason);
                    }
                    if self.meter.is_flooded(self.out.written()) {
                        break Err(Reason::ENHANCE_YOUR_CALM);
                    }
                }
                Ok(None) => break Ok(()),
                Err(reason) => break Err(reason),
            }
        };
        reader.settle();
        self.reader = reader;
        received
    }

    fn take(&mut self, frame: &Frame<'_>) -> Result<(), Reason> {
        if !self.has_settings && !matches!(frame, Frame::Settings(_)) {
            return Err(Reason::PROTOCOL_ERROR);
        }
        let now = clock::recently();
        match *frame {
            Frame::Data { stream, bytes, n_padding, is_last, is_empty } => {
                if !is_empty {
                    self.meter.progress(now);
                } else if !is_last {
                    self.meter.idle_frame(now);
                }
                self.take_data(stream, bytes, n_padding, is_last)
            }
            Frame::Fields { stream, block, is_last } => self.take_fields(stream, block, is_last),
            Frame::Reset { stream, reason } => {
                self.check_began(stream)?;
                if let Some(ended) = self.remove(stream) {
                    self.meter.reset(now);
                    ended.over.set(Some(Over::Reset(reason)));
                    ended.wake();
                } else {
                    self.meter.idle_frame(now);
                }
                Ok(())
            }
            Frame::Settings(settings) => {
                if std::mem::replace(&mut self.has_settings, true) {
                    self.meter.idle_frame(now);
                }
                self.take_settings(settings)?;
                frame::push_settings_ack(self.out.frames());
                Ok(())
            }
            Frame::Ping(opaque) => {
                self.meter.idle_frame(now);
                frame::push_ping(self.out.frames(), true, opaque);
                Ok(())
            }
            Frame::Pong(opaque) => {
                self.meter.idle_frame(now);
                if opaque == LAST && self.ending == Ending::Said {
                    self.end();
                }
                Ok(())
            }
            Frame::GoAway { last_stream } => {
                self.meter.idle_frame(now);
                self.take_goaway(last_stream);
                Ok(())
            }
            Frame::WindowUpdate { stream, by } => {
                self.meter.window_update();
                self.take_window(stream, by)
            }
            Frame::Nothing | Frame::SettingsTaken => {
                self.is_heard |= matches!(frame, Frame::SettingsTaken);
                self.meter.idle_frame(now);
                Ok(())
            }
            Frame::Part => Ok(()),
        }
    }

    fn take_data(&mut self, id: u32, bytes: &[u8], n_padding: usize, is_last: bool) -> Result<(), Reason> {
        let counted = narrowed(bytes.len() + n_padding);
        self.ours.left = self.ours.left.checked_sub(counted).ok_or(Reason::FLOW_CONTROL_ERROR)?;
        let Some(stream) = self.streams.get(&id) else {
            self.check_began(id)?;
            // It was on its way when the stream ended.
            if bytes.len() < SMALL {
                self.meter.idle_frame(clock::recently());
            }
            self.give_back(counted);
            return Ok(());
        };
        let stream = Rc::clone(stream);
        let is_early = matches!(self.side, Side::Client { .. }) && !stream.has_answer.get();
        let taken = if is_early {
            Err(Reason::PROTOCOL_ERROR)
        } else if stream.has_received_end.get() {
            Err(Reason::STREAM_CLOSED)
        } else if let Some(left) = stream.window.get().checked_sub(counted) {
            stream.window.set(left);
            let ended = || if is_last { stream.receive_end() } else { Ok(()) };
            stream.receive(bytes).and_then(|()| ended())
        } else {
            Err(Reason::FLOW_CONTROL_ERROR)
        };
        match taken {
            Ok(()) => {
                self.has_taken(&stream, n_padding);
                self.forget_done(&stream);
                stream.reader.wake();
            }
            Err(reason) => {
                self.give_back(counted);
                self.break_stream(id, reason);
            }
        }
        Ok(())
    }

    fn take_fields(&mut self, id: u32, block: &[u8], is_last: bool) -> Result<(), Reason> {
        if let Some(stream) = self.streams.get(&id) {
            let stream = Rc::clone(stream);
            let taken = match self.side {
                Side::Client { .. } if !stream.has_answer.get() => self.take_answer(&stream, block, is_last),
                _ => self.take_trailers(&stream, block, is_last),
            };
            match taken {
                Ok(()) => {
                    self.forget_done(&stream);
                    stream.reader.wake();
                }
                Err(Breach::OfStream(reason)) => self.break_stream(id, reason),
                Err(Breach::OfConnection(reason)) => return Err(reason),
            }
            return Ok(());
        }
        let is_new = id % 2 == 1 && id > self.last_stream && matches!(self.side, Side::Server { .. });
        if !is_new {
            self.check_began(id)?;
            // It was on its way when the stream ended. The table has to know its fields all the same.
            self.meter.idle_frame(clock::recently());
            return self.decode(block, |_, _| {});
        }
        let mut fields = RequestFields::new(&self.limits);
        self.decode(block, |name, value| fields.field(name, value))?;
        self.last_stream = id;
        if let Ending::Behind(_) = self.ending {
            return Ok(());
        }
        if self.streams.len() >= self.limits.http2_streams {
            // How many there may be is in our settings, which it may not have read yet.
            if self.is_heard {
                self.meter.reset(clock::recently());
            } else {
                self.meter.idle_frame(clock::recently());
            }
            frame::push_reset(self.out.frames(), id, Reason::REFUSED_STREAM);
            return Ok(());
        }
        self.meter.progress(clock::recently());
        let stream = Rc::new(Stream::new(id, self.ours.stream, self.theirs.stream_window));
        let is_grpc = fields.are_of_grpc();
        let head = fields.finish().and_then(|head| {
            stream.length_left.set(head.length);
            let is_short = is_last && head.length.unwrap_or(0) > 0;
            if is_short { Err(Rejection::MALFORMED_CONTENT_LENGTH) } else { Ok(head) }
        });
        stream.has_received_end.set(is_last);
        self.streams.insert(id, Rc::clone(&stream));
        if let Side::Server { opened } = &mut self.side {
            opened.push(Opened { stream, head, is_grpc });
        }
        Ok(())
    }

    /// Decompresses fields. A few bytes can name a long field of the table again and again: one who does that for no good is not
    /// heard any more.
    fn decode(&mut self, block: &[u8], mut field: impl FnMut(&[u8], &[u8])) -> Result<(), Reason> {
        let mut n_bytes = 0;
        let decoded = self.decoder.decode(block, |name, value| {
            n_bytes += name.len() + value.len();
            field(name, value);
        });
        decoded.map_err(|_| Reason::COMPRESSION_ERROR)?;
        let is_bomb = n_bytes > BOMB * self.limits.head_bytes;
        if is_bomb { Err(Reason::ENHANCE_YOUR_CALM) } else { Ok(()) }
    }

    fn take_answer(&mut self, stream: &Stream, block: &[u8], is_last: bool) -> Result<(), Breach> {
        let mut fields = ResponseFields::new(&self.limits);
        self.decode(block, |name, value| fields.field(name, value)).map_err(Breach::OfConnection)?;
        let head = fields.finish().map_err(|_| Breach::OfStream(Reason::PROTOCOL_ERROR))?;
        if head.status.is_informational() {
            // There is nobody here to tell; the answer follows (RFC 9110 §15.2).
            self.meter.idle_frame(clock::recently());
            return if is_last { Err(Breach::OfStream(Reason::PROTOCOL_ERROR)) } else { Ok(()) };
        }
        if !stream.is_of_head.get() && head.status != StatusCode::NOT_MODIFIED {
            stream.length_left.set(head.length);
        }
        if is_last {
            stream.receive_end().map_err(Breach::OfStream)?;
        }
        stream.has_answer.set(true);
        stream.answer.replace(Some(head));
        Ok(())
    }

    fn take_trailers(&mut self, stream: &Stream, block: &[u8], is_last: bool) -> Result<(), Breach> {
        let mut fields = TrailerFields::new(&self.limits);
        self.decode(block, |name, value| fields.field(name, value)).map_err(Breach::OfConnection)?;
        if stream.has_received_end.get() {
            return Err(Breach::OfStream(Reason::STREAM_CLOSED));
        }
        let trailers = fields.finish().ok().filter(|_| is_last);
        let trailers = trailers.ok_or(Breach::OfStream(Reason::PROTOCOL_ERROR))?;
        if !trailers.is_empty() {
            stream.trailers.replace(Some(trailers));
        }
        stream.receive_end().map_err(Breach::OfStream)
    }

    fn take_settings(&mut self, settings: &[u8]) -> Result<(), Reason> {
        let mut stream_window = None;
        for setting in settings.chunks_exact(6) {
            let &[a, b, c, d, e, f] = setting else { continue };
            let value = u32::from_be_bytes([c, d, e, f]);
            match u16::from_be_bytes([a, b]) {
                frame::HEADER_TABLE_SIZE => self.encoder.resize(value as usize),
                // Only a client may want it (RFC 9113 §6.5.2).
                frame::ENABLE_PUSH if value > u32::from(matches!(self.side, Side::Server { .. })) => {
                    return Err(Reason::PROTOCOL_ERROR);
                }
                frame::MAX_CONCURRENT_STREAMS => self.theirs.most_streams = value as usize,
                frame::INITIAL_WINDOW_SIZE if value > frame::MOST => {
                    return Err(Reason::FLOW_CONTROL_ERROR);
                }
                frame::INITIAL_WINDOW_SIZE => stream_window = Some(i64::from(value)),
                frame::MAX_FRAME_SIZE if !(1 << 14..1 << 24).contains(&value) => {
                    return Err(Reason::PROTOCOL_ERROR);
                }
                _ => {}
            }
        }
        if let Some(window) = stream_window {
            let by = window - std::mem::replace(&mut self.theirs.stream_window, window);
            for stream in self.streams.values() {
                let window = stream.send_window.get() + by;
                if window > i64::from(frame::MOST) {
                    return Err(Reason::FLOW_CONTROL_ERROR);
                }
                stream.send_window.set(window);
                stream.writer.wake();
            }
        }
        self.next_opening();
        Ok(())
    }

    fn take_window(&mut self, id: u32, by: u32) -> Result<(), Reason> {
        let most = i64::from(frame::MOST);
        if id == 0 {
            self.theirs.connection_window += i64::from(by);
            if by == 0 {
                return Err(Reason::PROTOCOL_ERROR);
            }
            if self.theirs.connection_window > most {
                return Err(Reason::FLOW_CONTROL_ERROR);
            }
            self.next_round();
            return Ok(());
        }
        let Some(stream) = self.streams.get(&id) else { return self.check_began(id) };
        let window = stream.send_window.get() + i64::from(by);
        if by == 0 || window > most {
            let reason = if by == 0 { Reason::PROTOCOL_ERROR } else { Reason::FLOW_CONTROL_ERROR };
            self.break_stream(id, reason);
        } else {
            stream.send_window.set(window);
            stream.writer.wake();
        }
        Ok(())
    }

    fn take_goaway(&mut self, last_stream: u32) {
        // A client that says so has only no more requests.
        if let Side::Client { .. } = self.side {
            self.ending = Ending::Behind(last_stream);
            let behind = self.streams.split_off(&last_stream.saturating_add(1));
            for stream in behind.into_values() {
                stream.over.set(Some(Over::NotProcessed));
                stream.wake();
            }
            self.next_opening();
        }
    }
}

/// DATA for a stream that is over counts as asking for nothing when it has less than so many bytes.
const SMALL: usize = 256;

/// Fields that are, decompressed, longer than so many heads may be were never meant as some.
const BOMB: usize = 16;
