//! Where models may lie: the schemes of their URIs. Fetching is done elsewhere.

use crate::Objects;
use crate::finding::nearest;

/// The schemes that models are fetched from; a path without one lies on this machine.
pub const MODEL_SCHEMES: &[&str] = &["file", "http", "https", "s3", "gs"];

/// Other schemes that KServe knows, with what to do here.
const OTHERS: &[(&str, &str)] = &[
    (
        "pvc",
        "see that the claim is there and has a volume (kubectl get pvc), or write the folder: storageUri: /path/to/the/folder",
    ),
    ("hf", "download it first (hf download OWNER/NAME --local-dir DIR) and write storageUri: DIR"),
    ("oci", "unpack the image into a folder and write its path"),
    ("abfs", "copy it to a folder, or to http(s)://, s3:// or gs://"),
    ("hdfs", "copy it to a folder, or to http(s)://, s3:// or gs://"),
    ("webhdfs", "copy it to a folder, or to http(s)://, s3:// or gs://"),
];

/// Where `pvc://CLAIM/path` leads: into the folder of the claim's volume, and not out of it. `None`: nowhere yet.
pub(crate) fn in_claim(uri: &str, namespace: &str, objects: &Objects) -> Option<String> {
    let rest = uri.strip_prefix("pvc://")?;
    let (name, path) = rest.split_once('/').unwrap_or((rest, ""));
    let claim = objects.get("PersistentVolumeClaim", namespace, name)?;
    let volume = objects.get("PersistentVolume", "", claim.value["spec"]["volumeName"].as_str()?)?;
    let spec = &volume.value["spec"];
    let folder = spec["local"]["path"].as_str().or(spec["hostPath"]["path"].as_str())?;
    let leads_out = path.split('/').any(|part| part == "..");
    (!leads_out).then(|| format!("{}/{path}", folder.trim_end_matches('/')).trim_end_matches('/').to_owned())
}

/// Why no model can be fetched from a URI, and what to write instead; `None` when one may be.
pub(crate) fn problem(uri: &str) -> Option<(String, String)> {
    let (scheme, _) = uri.split_once("://")?;
    // A variable is filled in later.
    if MODEL_SCHEMES.contains(&scheme) || scheme.contains('$') {
        return None;
    }
    let shown: String = uri.chars().take(80).collect();
    let message = format!("`{shown}`: no model is fetched from {scheme}:// in this build");
    let known = OTHERS.iter().find(|(other, _)| *other == scheme).map(|(_, advice)| (*advice).to_owned());
    let near =
        || nearest(scheme, MODEL_SCHEMES.iter().copied()).map(|near| format!("did you mean `{near}://`?"));
    let schemes = || format!("a path, or a URI of {}", MODEL_SCHEMES.join(", "));
    Some((message, known.or_else(near).unwrap_or_else(schemes)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Object;

    #[test]
    fn a_model_in_a_claim_lies_in_the_folder_of_its_volume() {
        let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "models"},
            "spec": {"volumeName": "v"}});
        let volume = json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "v"},
            "spec": {"local": {"path": "/state/volumes/v"}}});
        let objects: Objects =
            [claim, volume].map(|it| Object::from_value(it).unwrap()).into_iter().collect();
        let path = |uri: &str| in_claim(uri, "default", &objects);
        assert_eq!(path("pvc://models/iris/1").as_deref(), Some("/state/volumes/v/iris/1"));
        assert_eq!(path("pvc://models").as_deref(), Some("/state/volumes/v"));
        assert_eq!(
            (path("pvc://models/../other"), path("pvc://other/iris"), path("/models")),
            (None, None, None)
        );
    }

    #[test]
    fn what_cannot_be_fetched_is_told_with_a_way_out() {
        for good in
            ["model.pkl", "/models/iris", "file:///m", "s3://b/k", "gs://b/k", "https://h/m", "$(BASE)://m"]
        {
            assert_eq!(problem(good), None, "{good}");
        }
        let (message, advice) = problem("pvc://claim/iris").unwrap();
        assert_eq!(message, "`pvc://claim/iris`: no model is fetched from pvc:// in this build");
        assert!(advice.contains("/path/to"), "{advice}");
        assert_eq!(in_claim("pvc://claim/iris", "default", &Objects::default()), None);
        assert!(problem("hf://owner/model").unwrap().1.contains("hf download"));
        assert_eq!(problem("htps://h/m").unwrap().1, "did you mean `https://`?");
    }
}
