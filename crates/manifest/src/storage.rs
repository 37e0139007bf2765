//! Where models may lie: the schemes of their URIs. Fetching is done elsewhere.

use crate::finding::nearest;

/// The schemes that models are fetched from; a path without one lies on this machine.
pub const MODEL_SCHEMES: &[&str] = &["file", "http", "https", "s3", "gs"];

/// Other schemes that KServe knows, with what to do here.
const OTHERS: &[(&str, &str)] = &[
    ("pvc", "volumes are folders here: storageUri: /path/to/the/folder"),
    ("hf", "download it first (hf download OWNER/NAME --local-dir DIR) and write storageUri: DIR"),
    ("oci", "unpack the image into a folder and write its path"),
    ("abfs", "copy it to a folder, or to http(s)://, s3:// or gs://"),
    ("hdfs", "copy it to a folder, or to http(s)://, s3:// or gs://"),
    ("webhdfs", "copy it to a folder, or to http(s)://, s3:// or gs://"),
];

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
    use super::*;

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
        assert!(problem("hf://owner/model").unwrap().1.contains("hf download"));
        assert_eq!(problem("htps://h/m").unwrap().1, "did you mean `https://`?");
    }
}
