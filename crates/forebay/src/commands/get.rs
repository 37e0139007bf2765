//! `forebay get`: what there is.

use manifest::Kind;
use serde_json::{Value, json};

use super::End;
use crate::client::{self, Client, JSON, Refusal, TABLE, collection, with_query};
use crate::globals::Globals;
use crate::output::table::{Printer, Shown, Table};
use crate::output::{self, Format};
use crate::resource::{self, Named, Scope};
use crate::runtime;

/// Show objects, as kubectl get does
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  forebay get all -A
  forebay get isvc sklearn-iris -o jsonpath='{.status.url}'
  forebay get svc,ingress -n mlops -o wide
  forebay get pods -l app=web -w")]
pub(crate) struct Options {
    /// What to show: svc, svc NAME, svc/NAME, svc,ingress, all
    #[arg(value_name = "KIND [NAME]", required = true)]
    resources: Vec<String>,

    #[command(flatten)]
    scope: Scope,

    /// In all namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,

    /// Only objects with these values: metadata.name=web,status.phase!=Running
    #[arg(long, value_name = "FIELDS", default_value = "", hide_default_value = true)]
    field_selector: String,

    /// table, wide, json, yaml, name or jsonpath=TEMPLATE
    #[arg(short, long, default_value = "table", value_name = "FORMAT")]
    output: Format,

    /// Go on with what changes
    #[arg(short, long)]
    watch: bool,

    /// Leave out the line with the names of columns
    #[arg(long)]
    no_headers: bool,

    /// Say nothing of an object that is not there
    #[arg(long)]
    ignore_not_found: bool,
}

pub(crate) fn run(options: &Options, globals: &Globals) -> anyhow::Result<End> {
    runtime::block_on(async {
        let client = Client::find(globals)?;
        let asked = Asked { options, named: resource::parse_for(&client, &options.resources).await? };
        match options.output {
            _ if options.watch => asked.watch(&client).await,
            Format::Table { wide } => asked.tables(&client, wide).await,
            _ => asked.objects(&client).await,
        }
    })
}

/// What somebody asked for.
struct Asked<'a> {
    options: &'a Options,
    named: Vec<Named>,
}

/// What the API gave, and what it refused.
struct Found {
    values: Vec<(&'static Kind, Value)>,
    refusals: Vec<Refusal>,
}

impl Found {
    /// Says what was refused, and how the command ends.
    fn end(&self) -> End {
        self.refusals.iter().for_each(|refusal| eprintln!("{refusal}"));
        if self.refusals.is_empty() { End::Done } else { End::Failed }
    }
}

impl Asked<'_> {
    /// The namespace that is looked at; `None`: all.
    fn namespace(&self) -> Option<&str> {
        (!self.options.all_namespaces).then_some(self.options.scope.namespace())
    }

    /// Asks for everything that is named.
    async fn fetch(&self, client: &Client, accept: &str) -> anyhow::Result<Found> {
        let mut found = Found { values: Vec::new(), refusals: Vec::new() };
        for named in &self.named {
            let Options { scope, field_selector, .. } = self.options;
            let target = named.target(self.namespace(), &scope.selector, field_selector);
            match client.get(&target, accept).await {
                Ok(value) => found.values.push((named.kind, value)),
                Err(error) if self.options.ignore_not_found && client::is_refused(&error, "NotFound") => {}
                Err(error) => found.refusals.push(error.downcast()?),
            }
        }
        Ok(found)
    }

    async fn tables(&self, client: &Client, wide: bool) -> anyhow::Result<End> {
        let found = self.fetch(client, TABLE).await?;
        let mut tables: Vec<(&Kind, Table)> = Vec::new();
        for (kind, value) in &found.values {
            let table = Table::of(value, &self.shown(kind, wide));
            match tables.last_mut() {
                Some((last, whole)) if last == kind => whole.rows.extend(table.rows),
                _ => tables.push((kind, table)),
            }
        }
        tables.retain(|(_, table)| !table.rows.is_empty());
        let is_list = self.named.iter().any(|named| named.name.is_none());
        if tables.is_empty() && is_list && found.refusals.is_empty() && !self.options.ignore_not_found {
            eprintln!("{}", self.nothing_found());
        }
        for (index, (_, table)) in tables.iter().enumerate() {
            let space = if index > 0 { "\n" } else { "" };
            output::say(&format!("{space}{}", self.lines(&mut Printer::default(), table, true)))?;
        }
        Ok(found.end())
    }

    async fn objects(&self, client: &Client) -> anyhow::Result<End> {
        let mut found = self.fetch(client, JSON).await?;
        let is_one = self.named.len() == 1 && self.named[0].name.is_some();
        let mut items = Vec::new();
        for (_, mut value) in std::mem::take(&mut found.values) {
            hide_managers(&mut value);
            match value.get_mut("items").and_then(Value::as_array_mut) {
                Some(list) => items.append(list),
                None => items.push(value),
            }
        }
        let value = match items.pop() {
            Some(only) if is_one => only,
            None if is_one => return Ok(found.end()),
            last => {
                items.extend(last);
                json!({"apiVersion": "v1", "items": items, "kind": "List", "metadata": {"resourceVersion": ""}})
            }
        };
        output::say(&self.options.output.print(&value)?)?;
        Ok(found.end())
    }

    /// What there is, and then what changes, until the API or the user ends it.
    async fn watch(&self, client: &Client) -> anyhow::Result<End> {
        let [Named { kind, name }] = self.named.as_slice() else {
            anyhow::bail!("only one kind of object, or one object, can be watched at a time");
        };
        let path = collection(kind, self.namespace());
        let mut fields = self.options.field_selector.clone();
        if let Some(name) = name {
            client.get(&client::path(kind, self.options.scope.namespace(), name), JSON).await?;
            fields = format!("{fields}{}metadata.name={name}", if fields.is_empty() { "" } else { "," });
        }
        let selected = [("labelSelector", self.options.scope.selector.as_str()), ("fieldSelector", &fields)];
        let accept = if matches!(self.options.output, Format::Table { .. }) { TABLE } else { JSON };
        let list = client.get(&with_query(&path, &selected), accept).await?;
        let revision = list["metadata"]["resourceVersion"].as_str().unwrap_or_default();
        let from = [("resourceVersion", revision), ("watch", "true"), ("timeoutSeconds", "86400")];
        let mut lines = client.lines(&with_query(&path, &[&selected[..], &from].concat()), accept).await?;

        let mut printer = Printer::default();
        let mut has_header = self.show(&mut printer, kind, &list, true)?;
        while let Some(line) = lines.next().await? {
            let event: Value = serde_json::from_str(&line)?;
            if event["type"] == "ERROR" {
                anyhow::bail!("the watch ended: {}", event["object"]["message"].as_str().unwrap_or_default());
            }
            has_header |= self.show(&mut printer, kind, &event["object"], !has_header)?;
        }
        Ok(End::Done)
    }

    /// Prints a table, or the objects of a list. Returns whether there was anything to print.
    fn show(
        &self,
        printer: &mut Printer,
        kind: &Kind,
        value: &Value,
        with_header: bool,
    ) -> anyhow::Result<bool> {
        if let Format::Table { wide } = self.options.output {
            let table = Table::of(value, &self.shown(kind, wide));
            if !table.rows.is_empty() {
                output::say(&self.lines(printer, &table, with_header))?;
            }
            return Ok(!table.rows.is_empty());
        }
        let items = value["items"].as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        for item in items {
            let mut item = item.clone();
            hide_managers(&mut item);
            output::say(&self.options.output.print(&item)?)?;
        }
        Ok(!items.is_empty())
    }

    fn lines(&self, printer: &mut Printer, table: &Table, with_header: bool) -> String {
        let header = (with_header && !self.options.no_headers).then(|| table.headers.clone());
        let rows: Vec<Vec<String>> = header.into_iter().chain(table.rows.iter().cloned()).collect();
        printer.print(&rows)
    }

    fn shown(&self, kind: &Kind, wide: bool) -> Shown {
        let has_several_kinds = self.named.iter().any(|named| named.kind != self.named[0].kind);
        let prefix = if has_several_kinds { format!("{}/", kind.resource()) } else { String::new() };
        Shown { wide, namespace: self.options.all_namespaces && kind.is_namespaced, prefix }
    }

    fn nothing_found(&self) -> String {
        match self.namespace() {
            Some(namespace) if self.named.iter().any(|named| named.kind.is_namespaced) => {
                format!("No resources found in {namespace} namespace.")
            }
            _ => "No resources found".to_owned(),
        }
    }
}

/// Takes out who set which field, as kubectl does: it is longer than the object.
fn hide_managers(value: &mut Value) {
    let hide = |object: &mut Value| {
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
        }
    };
    hide(value);
    value.get_mut("items").and_then(Value::as_array_mut).into_iter().flatten().for_each(hide);
}
