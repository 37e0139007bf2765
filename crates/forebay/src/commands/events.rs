//! `forebay events`: what happened, the latest last.

use manifest::{Kind, kind_named};
use serde_json::Value;

use super::End;
use crate::client::{Client, TABLE, collection, with_query};
use crate::globals::Globals;
use crate::output;
use crate::output::table::{Printer, Shown, Table};
use crate::resource::{self, Named};
use crate::runtime;

/// Show what happened, the latest last
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  forebay events -A
  forebay events isvc/sklearn-iris -n staging
  forebay events --types=Warning -A
  forebay events -w")]
pub(crate) struct Options {
    /// What they are about: KIND/NAME [default: everything in the namespace]
    #[arg(value_name = "KIND/NAME")]
    about: Option<String>,

    /// Namespace
    #[arg(short, long, default_value = "default", value_name = "NAME")]
    namespace: String,

    /// In all namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,

    /// Only of these types: Normal, Warning
    #[arg(long, value_name = "TYPES", value_delimiter = ',')]
    types: Vec<String>,

    /// Go on with what happens
    #[arg(short, long)]
    watch: bool,
}

pub(crate) fn run(options: &Options, globals: &Globals) -> anyhow::Result<End> {
    let about = options.about.as_ref().map(|about| resource::parse(std::slice::from_ref(about)));
    let about = about.transpose()?.unwrap_or_default().pop();
    runtime::block_on(async {
        let client = Client::find(globals)?;
        let namespace = (!options.all_namespaces).then_some(options.namespace.as_str());
        let asked = Asked { about: about.as_ref(), namespace, types: &options.types };
        let list = asked.list(&client).await?;
        let table = asked.shown(&list);
        let mut printer = Printer::default();
        if table.rows.is_empty() {
            let place = namespace.map(|name| format!(" in {name} namespace")).unwrap_or_default();
            eprintln!("No events found{place}.");
        } else {
            output::say(&printer.print(&with_header(&table)))?;
        }
        if options.watch {
            asked.watch(&client, &list, &mut printer).await?;
        }
        Ok(End::Done)
    })
}

/// Which events somebody asks for.
pub(super) struct Asked<'a> {
    pub(super) about: Option<&'a Named>,
    /// `None`: all.
    pub(super) namespace: Option<&'a str>,
    pub(super) types: &'a [String],
}

impl Asked<'_> {
    /// The events, in the order of time.
    pub(super) async fn table(&self, client: &Client) -> anyhow::Result<Table> {
        Ok(self.shown(&self.list(client).await?))
    }

    async fn list(&self, client: &Client) -> anyhow::Result<Value> {
        Ok(self.wanted(client.get(&self.target(&[])?, TABLE).await?))
    }

    /// Prints what happens after a list was made, until the platform or the user ends it.
    async fn watch(&self, client: &Client, list: &Value, printer: &mut Printer) -> anyhow::Result<()> {
        let revision = list["metadata"]["resourceVersion"].as_str().unwrap_or_default();
        let from = [("resourceVersion", revision), ("watch", "true"), ("timeoutSeconds", "86400")];
        let mut lines = client.lines(&self.target(&from)?, TABLE).await?;
        while let Some(line) = lines.next().await? {
            let mut change: Value = serde_json::from_str(&line)?;
            match change["type"].as_str() {
                Some("ADDED" | "MODIFIED") => {
                    let table = self.shown(&self.wanted(change["object"].take()));
                    output::say(&printer.print(&table.rows))?;
                }
                Some("ERROR") => {
                    let why = change["object"]["message"].as_str().unwrap_or_default();
                    anyhow::bail!("the watch ended: {why}");
                }
                // Events that are forgotten have happened all the same.
                _ => {}
            }
        }
        Ok(())
    }

    /// Events of what lives in no namespace are in one that always is there.
    fn namespace(&self) -> Option<&str> {
        let is_namespaced = self.about.is_none_or(|named| named.kind.is_namespaced);
        if is_namespaced { self.namespace } else { Some("default") }
    }

    /// Where the events are, with more parameters.
    fn target(&self, parameters: &[(&str, &str)]) -> anyhow::Result<String> {
        let kind = kind_named("Event").ok_or_else(|| anyhow::anyhow!("this build knows no events"))?;
        let fields = self.about.map(|named| field_selector(named.kind, named.name.as_deref()));
        let own = [("fieldSelector", fields.as_deref().unwrap_or_default()), ("includeObject", "Object")];
        Ok(with_query(&collection(kind, self.namespace()), &[&own[..], parameters].concat()))
    }

    /// The rows of a table that are asked for, in the order of time.
    fn wanted(&self, mut table: Value) -> Value {
        if let Some(rows) = table["rows"].as_array_mut() {
            let is_wanted = |row: &Value| {
                let written = row["object"]["type"].as_str().unwrap_or_default();
                self.types.is_empty() || self.types.iter().any(|wanted| wanted.eq_ignore_ascii_case(written))
            };
            rows.retain(is_wanted);
            rows.sort_by_cached_key(last_time);
        }
        table
    }

    fn shown(&self, table: &Value) -> Table {
        Table::of(table, &Shown { namespace: self.namespace().is_none(), ..Shown::default() })
    }
}

fn field_selector(kind: &Kind, name: Option<&str>) -> String {
    let name = name.map(|name| format!(",involvedObject.name={name}")).unwrap_or_default();
    format!("involvedObject.kind={}{name}", kind.kind)
}

/// When an event happened last. Times of one form are in order as texts.
fn last_time(row: &Value) -> String {
    let event = &row["object"];
    let written = event["lastTimestamp"].as_str().or(event["metadata"]["creationTimestamp"].as_str());
    written.unwrap_or_default().to_owned()
}

/// A table with its header.
pub(super) fn printed(table: &Table) -> String {
    Printer::default().print(&with_header(table))
}

fn with_header(table: &Table) -> Vec<Vec<String>> {
    std::iter::once(table.headers.clone()).chain(table.rows.iter().cloned()).collect()
}
