//! One object over time: what it is now, and what it becomes.

use manifest::Kind;
use serde_json::Value;

use crate::client::{Client, JSON, Lines, collection, with_query};

/// An object that is looked at again whenever it changes.
pub(crate) struct Following<'a> {
    client: &'a Client,
    kind: &'static Kind,
    namespace: String,
    name: String,
    lines: Option<Lines>,
}

impl<'a> Following<'a> {
    pub(crate) fn new(client: &'a Client, kind: &'static Kind, namespace: &str, name: &str) -> Self {
        Self { client, kind, namespace: namespace.to_owned(), name: name.to_owned(), lines: None }
    }

    /// The object as it is now, or after its next change. `None`: it is not there.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Option<Value>> {
        loop {
            let Some(lines) = &mut self.lines else { return self.begin().await };
            let Some(line) = lines.next().await? else {
                // The watch is over, which they all are after a while.
                self.lines = None;
                continue;
            };
            let mut event: Value = serde_json::from_str(&line)?;
            match event["type"].as_str() {
                Some("ADDED" | "MODIFIED") => return Ok(Some(event["object"].take())),
                Some("DELETED") => return Ok(None),
                Some("BOOKMARK") => {}
                _ => self.lines = None,
            }
        }
    }

    /// Looks at the object, and begins to watch it from there.
    async fn begin(&mut self) -> anyhow::Result<Option<Value>> {
        let path = collection(self.kind, Some(&self.namespace));
        let selector = format!("metadata.name={}", self.name);
        let mut list = self.client.get(&with_query(&path, &[("fieldSelector", &selector)]), JSON).await?;
        let revision = list["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
        let watch = [("fieldSelector", selector.as_str()), ("resourceVersion", &revision), ("watch", "true")];
        self.lines = Some(self.client.lines(&with_query(&path, &watch), JSON).await?);
        Ok(list["items"].as_array_mut().and_then(Vec::pop))
    }
}
