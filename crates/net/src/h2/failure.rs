//! Why a connection of HTTP/2 ended before its client wanted it to, in a few words that metrics can count by.

use super::reason::Reason;

/// Why a connection of HTTP/2 was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Http2Failure {
    /// What the client began with is no HTTP/2, or there was no more of it.
    NotBegun,
    /// It did not begin in time.
    BeginTimedOut,
    /// The fields of a request did not come whole in time.
    HeadTimedOut,
    /// The client sent more than anybody needs: frames that ask for nothing, requests it takes back, continuations, or
    /// fields beyond all measure.
    Flood,
    /// Frames, or fields in them, that are not HTTP/2.
    Malformed,
    /// Frames of a wrong length.
    FrameSize,
    /// Fields that cannot be decompressed.
    Compression,
    /// More of a body than there was room for.
    FlowControl,
    /// The client did not answer when it was asked whether it is still there.
    Silent,
    /// Something else.
    Other,
}

impl Http2Failure {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::NotBegun,
        Self::BeginTimedOut,
        Self::HeadTimedOut,
        Self::Flood,
        Self::Malformed,
        Self::FrameSize,
        Self::Compression,
        Self::FlowControl,
        Self::Silent,
        Self::Other,
    ];

    /// As metrics have it, for example `begin-timeout`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotBegun => "not-begun",
            Self::BeginTimedOut => "begin-timeout",
            Self::HeadTimedOut => "head-timeout",
            Self::Flood => "flood",
            Self::Malformed => "malformed",
            Self::FrameSize => "frame-size",
            Self::Compression => "compression",
            Self::FlowControl => "flow-control",
            Self::Silent => "silent",
            Self::Other => "other",
        }
    }

    /// What breaking the rules comes down to.
    pub(super) fn of(reason: Reason, has_begun: bool) -> Self {
        match reason {
            Reason::ENHANCE_YOUR_CALM => Self::Flood,
            _ if !has_begun => Self::NotBegun,
            Reason::PROTOCOL_ERROR | Reason::STREAM_CLOSED => Self::Malformed,
            Reason::FRAME_SIZE_ERROR => Self::FrameSize,
            Reason::COMPRESSION_ERROR => Self::Compression,
            Reason::FLOW_CONTROL_ERROR => Self::FlowControl,
            _ => Self::Other,
        }
    }
}
