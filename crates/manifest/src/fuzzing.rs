//! Bodies of the fuzz targets, which also run as properties in the normal test run.

use std::collections::BTreeMap;

use serde_json::json;

use crate::annotations::{self, annotations};
use crate::certificate::{is_trust_store, read_facts, read_pair};
use crate::certificate_folder::read_folder;
use crate::{Defaults, Object, Objects, compile, read, workloads};

/// Any bytes as a manifest: read, compiled, and made into workloads. Must not panic.
pub fn manifest(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let objects: Objects = read("fuzz.yaml", &text).objects.into_iter().collect();
    let _ = compile(&objects, &Defaults::default());
    let _ = workloads(&objects);
}

/// Any bytes as the text of every annotation there is. Must not panic.
pub fn annotation(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let texts: BTreeMap<String, &str> =
        annotations().map(|annotation| (annotation.sample_key(), &*text)).collect();
    let object = |api_version: &str, kind: &str| {
        let metadata = json!({ "name": "a", "annotations": texts });
        let value = json!({ "apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": {} });
        Object::from_value(value).ok()
    };
    let objects = object("networking.k8s.io/v1", "Ingress").zip(object("v1", "Service"));
    let (ingress, service) = objects.expect("texts make good annotations");
    let mut findings = Vec::new();
    let _ = annotations::of_ingress(&ingress, &mut findings);
    let _ = annotations::handling(&ingress, false, &mut findings);
    let _ = annotations::of_target_group(&ingress, &service, &mut findings);
    let _ = annotations::of_service(&service, false, &mut findings);
}

/// Any bytes as the texts of a certificate and its key, apart and in one. Must not panic.
pub fn certificates(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (certificate, key) = text.split_once('\0').unwrap_or((&text, &text));
    if let Ok(read) = read_pair(certificate, key) {
        let again = read_pair(&read.pair.certificate, &read.pair.key);
        assert!(again.is_ok_and(|again| again.pair == read.pair), "what was put in order stays in order");
    }
    let _ = (read_facts(certificate), is_trust_store(certificate));
}

/// Any bytes as a folder of certificates: `NAME\n` and what is in it, between zeros. Must not panic.
pub fn certificate_folder(data: &[u8]) {
    let files: BTreeMap<String, &[u8]> = data
        .split(|byte| *byte == 0)
        .filter_map(|file| {
            let end = file.iter().position(|byte| *byte == b'\n')?;
            Some((String::from_utf8_lossy(&file[..end]).into_owned(), &file[end + 1..]))
        })
        .collect();
    let names: Vec<String> = files.keys().cloned().collect();
    let read =
        |name: &str| files.get(name).map(|bytes| bytes.to_vec()).ok_or_else(|| "is not there".to_owned());
    let found = read_folder("certificates", &names, &read);
    let is_told = |(_, pair): (&String, &crate::KeptPair)| found.pair(&pair.kept.name).is_some();
    assert!(found.pairs.iter().all(is_told), "each is found by its name");
}

/// Any bytes as the file of `--env`. Must not panic.
pub fn environment(data: &[u8]) {
    let _ = Defaults::parse("env.yaml", &String::from_utf8_lossy(data));
}
