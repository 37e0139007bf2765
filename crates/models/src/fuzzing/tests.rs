//! The fuzzers' calls as properties: on bytes that are nearly right, since those get furthest.

use std::io::Write;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;

/// Pieces of pickles. Any order of them is a file that the machine must survive.
const PIECES: &[&[u8]] = &[
    b"(",
    b"0",
    b"1",
    b"2",
    b"N",
    b"\x88",
    b"K\x02",
    b"J\xff\xff\xff\xff",
    b"\x8a\x01\x80",
    b"G\x7f\xf8\0\0\0\0\0\0",
    b"\x8c\x05nodes",
    b"\x8c\x02f8",
    b"C\x08abcdefgh",
    b"]",
    b")",
    b"}",
    b"\x8f",
    b"l",
    b"t",
    b"d",
    b"\x91",
    b"\x85",
    b"\x86",
    b"\x87",
    b"a",
    b"e",
    b"s",
    b"u",
    b"\x90",
    b"\x94",
    b"q\x00",
    b"h\x00",
    b"h\x01",
    b"\x93",
    b"R",
    b"\x81",
    b"\x92",
    b"o",
    b"b",
    b"cnumpy\ndtype\n",
    b"cnumpy.core.multiarray\n_reconstruct\n",
    b"cnumpy\nndarray\n",
    b"cnumpy.core.multiarray\nscalar\n",
    b"cjoblib.numpy_pickle\nNumpyArrayWrapper\n",
    b"csklearn.pipeline\nPipeline\n",
    b"c_codecs\nencode\n",
    b"ccopyreg\n_reconstructor\n",
    b"c__builtin__\nobject\n",
    b"isklearn.svm\nSVC\n",
    b".",
];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/models")
}

/// Model files of the fixtures that are small.
fn small_models() -> Vec<Vec<u8>> {
    const MAX_BYTES: u64 = 16 << 10;
    const EXTENSIONS: &[&str] = &["bst", "cbm", "joblib", "json", "pkl", "skops", "txt", "ubj"];
    let files = |folder: PathBuf| folder.read_dir().unwrap().map(|entry| entry.unwrap().path());
    let all = files(fixtures()).flat_map(files).filter(|path| {
        let extension = path.extension().and_then(|extension| extension.to_str());
        let is_model = extension.is_some_and(|extension| EXTENSIONS.contains(&extension))
            && path.file_stem().is_some_and(|stem| stem.to_string_lossy().starts_with("model"));
        is_model && path.metadata().unwrap().len() < MAX_BYTES
    });
    let models: Vec<Vec<u8>> = all.map(|path| std::fs::read(path).unwrap()).collect();
    assert!(models.len() > 20);
    models
}

/// A model file of which some bytes are others.
fn damaged_model() -> impl Strategy<Value = Vec<u8>> {
    let damage = prop::collection::vec((any::<Index>(), any::<u8>()), 1..6);
    (select(small_models()), damage).prop_map(|(mut file, damage)| {
        for (place, byte) in damage {
            let place = place.index(file.len());
            file[place] ^= byte;
        }
        file
    })
}

/// A model of a boosting library as text, of which some words are others.
fn damaged_text() -> impl Strategy<Value = Vec<u8>> {
    const WORDS: &[&str] = &[
        "-1",
        "0",
        "1",
        "2147483647",
        "18446744073709551615",
        "1e999",
        "NaN",
        "[]",
        "{}",
        "null",
        "x",
        ",",
        " ",
        "",
    ];
    let is_text = |file: &Vec<u8>| file.starts_with(b"{\"") || file.starts_with(b"tree\n");
    let texts: Vec<Vec<Vec<u8>>> =
        small_models().into_iter().filter(is_text).map(|text| words(&text)).collect();
    assert!(texts.len() > 8);
    let changes = prop::collection::vec((any::<Index>(), select(WORDS)), 1..5);
    (select(texts), changes).prop_map(|(mut words, changes)| {
        for (place, word) in changes {
            let place = place.index(words.len());
            words[place] = word.as_bytes().to_vec();
        }
        words.concat()
    })
}

/// An ONNX file of which some bytes are others.
fn damaged_onnx() -> impl Strategy<Value = Vec<u8>> {
    const MAX_BYTES: u64 = 4 << 10;
    let cases = fixtures().join("../onnx").read_dir().unwrap().map(|entry| entry.unwrap().path());
    let files = cases.map(|case| case.join("model.onnx"));
    let small = files.filter(|file| file.metadata().is_ok_and(|metadata| metadata.len() < MAX_BYTES));
    let models: Vec<Vec<u8>> = small.map(|file| std::fs::read(file).unwrap()).collect();
    assert!(models.len() > 10);
    let damage = prop::collection::vec((any::<Index>(), any::<u8>()), 1..6);
    (select(models), damage).prop_map(|(mut file, damage)| {
        for (place, byte) in damage {
            let place = place.index(file.len());
            file[place] ^= byte;
        }
        file
    })
}

/// A skops file of which some words of the tree are others. (Its archive has checksums, so bytes cannot be changed as
/// they are.)
fn damaged_skops() -> impl Strategy<Value = Vec<u8>> {
    const WORDS: &[&str] = &[
        "ListNode",
        "DictNode",
        "NdArrayNode",
        "ObjectNode",
        "TreeNode",
        "SparseMatrixNode",
        "JsonNode",
        "content",
        "\\\"",
        "null",
        "1e999",
        "-1",
        "[]",
        "{}",
        "numpy",
        "ndarray",
        "SVC",
        "Pipeline",
        "steps",
        "os",
        "system",
    ];
    let file = std::fs::read(fixtures().join("iris-svc/model.skops")).unwrap();
    let files = formats::skops::unpack(&file, &mut (64 << 20)).unwrap();
    let words = words(&files["schema.json"]);
    let changes = prop::collection::vec((any::<Index>(), select(WORDS)), 1..8);
    changes.prop_map(move |changes| {
        let mut words = words.clone();
        for (place, word) in changes {
            let place = place.index(words.len());
            words[place] = word.as_bytes().to_vec();
        }
        let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        let stored =
            zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        for (name, content) in &files {
            archive.start_file(name.as_str(), stored).unwrap();
            let content = if name == "schema.json" { words.concat() } else { content.clone() };
            archive.write_all(&content).unwrap();
        }
        archive.finish().unwrap().into_inner()
    })
}

/// A text in pieces that are all letters and digits, or none.
fn words(text: &[u8]) -> Vec<Vec<u8>> {
    text.chunk_by(|a, b| a.is_ascii_alphanumeric() == b.is_ascii_alphanumeric()).map(<[u8]>::to_vec).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn damaged_models_do_no_harm(file in damaged_model()) {
        model_file(&file);
    }

    #[test]
    fn damaged_onnx_files_do_no_harm(file in damaged_onnx()) {
        onnx(&file);
    }

    #[test]
    fn damaged_texts_do_no_harm(file in damaged_text()) {
        model_file(&file);
    }

    #[test]
    fn damaged_skops_files_do_no_harm(file in damaged_skops()) {
        skops(&file);
    }

    #[test]
    fn any_order_of_opcodes_does_no_harm(pieces in prop::collection::vec(select(PIECES), 0..60)) {
        pickle(&[pieces.concat(), b".".to_vec()].concat());
    }

    #[test]
    fn any_bytes_do_no_harm(data in prop::collection::vec(any::<u8>(), 0..300)) {
        for begin in ["", "\u{0}", "PK\u{3}\u{4}"] {
            model_file(&[begin.as_bytes(), &data].concat());
        }
        pickle(&data);
        skops(&data);
        onnx(&data);
        ubjson(&[b"{", &data[..]].concat());
        cbm(&[b"CBM1", &data[..]].concat());
        lightgbm(&[b"tree\n", &data[..]].concat());
        npy(&[b"\x93NUMPY\x01\x00", &data[..]].concat());
        xgboost_binary(&data);
    }

    #[test]
    fn any_expression_does_no_harm(text in "[a-c0-9.e+*/(),` -]{0,60}", name in "(max|clip|log)?") {
        expression(text.as_bytes());
        expression(format!("{name}({text})").as_bytes());
    }

    #[test]
    fn any_text_as_settings_does_no_harm(text in "[a-z:{}\\[\\], \n\"'&*#0-9-]{0,200}") {
        mlmodel(text.as_bytes());
        json(text.as_bytes());
        lightgbm(format!("tree\n{text}").as_bytes());
        features(text.as_bytes());
        features(format!("features: [{{name: {text}}}]").as_bytes());
        npy(format!("\u{93}NUMPY\u{1}\u{0}{text}").as_bytes());
    }
}

#[test]
fn a_file_that_was_cut_is_refused_or_the_same() {
    for name in
        ["model.p0.pkl", "model.p2.pkl", "model.p5.pkl", "model.joblib", "model.zlib.joblib", "model.skops"]
    {
        let file = std::fs::read(fixtures().join("iris-svc").join(name)).unwrap();
        let whole = format!("{:?}", formats::read(&file, None, None).unwrap().step);
        for end in 0..file.len() {
            if let Ok(content) = formats::read(&file[..end], None, None) {
                assert_eq!(format!("{:?}", content.step), whole, "{name} cut at {end}");
            }
        }
    }
}
