//! What answers requests.

use crate::{Request, Response};

/// Answers requests. One clone is made per connection; all stay on the thread of their listener.
pub trait Handler: Clone + 'static {
    /// Answers one request. The future is dropped when the client goes away before the answer is there.
    fn handle(&self, request: Request) -> impl Future<Output = Response>;
}

/// Any function from a request to a future response is a handler.
impl<F, R> Handler for F
where
    F: Fn(Request) -> R + Clone + 'static,
    R: Future<Output = Response>,
{
    fn handle(&self, request: Request) -> impl Future<Output = Response> {
        self(request)
    }
}
