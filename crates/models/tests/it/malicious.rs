//! Pickles that would run something, if anybody ran them: every way to name a function, in every place, and bombs.

use std::path::Path;
use std::time::Duration;

use models::LoadError;

/// What attackers call (module, name).
const FUNCTIONS: &[(&str, &str)] = &[
    ("os", "system"),
    ("posix", "system"),
    ("nt", "system"),
    ("os", "execv"),
    ("os", "popen"),
    ("subprocess", "Popen"),
    ("subprocess", "check_output"),
    ("builtins", "eval"),
    ("builtins", "exec"),
    ("builtins", "compile"),
    ("builtins", "getattr"),
    ("builtins", "__import__"),
    ("builtins", "open"),
    ("__builtin__", "eval"),
    ("__builtin__", "apply"),
    ("importlib", "import_module"),
    ("pickle", "loads"),
    ("_pickle", "loads"),
    ("marshal", "loads"),
    ("types", "FunctionType"),
    ("operator", "methodcaller"),
    ("functools", "partial"),
    ("runpy", "run_path"),
    ("pty", "spawn"),
    ("ctypes", "CDLL"),
    ("shutil", "rmtree"),
    ("socket", "create_connection"),
    ("urllib.request", "urlopen"),
    ("webbrowser", "open"),
    ("timeit", "timeit"),
    ("numpy.testing._private.utils", "runstring"),
    ("numpy", "load"),
    ("numpy.f2py.crackfortran", "myeval"),
    ("joblib", "load"),
    ("joblib.numpy_pickle", "load"),
    ("sklearn.utils", "safe_mask"),
    ("sklearn.datasets", "fetch_openml"),
    ("pandas", "read_pickle"),
    ("scipy.io", "loadmat"),
    ("cloudpickle.cloudpickle", "_make_function"),
];

type Form = fn(&str, &str, &str) -> Vec<u8>;

/// Ways to call a function with one text, each a stack effect of one value.
const CALLS: &[(&str, Form)] = &[
    ("GLOBAL REDUCE", |module, name, text| {
        [format!("c{module}\n{name}\n(").as_bytes(), &short(text), b"tR"].concat()
    }),
    ("STACK_GLOBAL REDUCE", |module, name, text| {
        [&short(module)[..], &short(name), b"\x93(", &short(text), b"tR"].concat()
    }),
    ("INST", |module, name, text| {
        [b"(", &short(text)[..], format!("i{module}\n{name}\n").as_bytes()].concat()
    }),
    ("OBJ", |module, name, text| [format!("(c{module}\n{name}\n").as_bytes(), &short(text), b"o"].concat()),
    ("NEWOBJ", |module, name, text| {
        [format!("c{module}\n{name}\n(").as_bytes(), &short(text), b"t\x81"].concat()
    }),
    ("NEWOBJ_EX", |module, name, text| {
        [format!("c{module}\n{name}\n(").as_bytes(), &short(text), b"t}\x92"].concat()
    }),
    ("BUILD", |module, name, text| {
        let state =
            [b"}(", &short("__setstate__")[..], format!("c{module}\n{name}\n").as_bytes(), b"u"].concat();
        [&b"csklearn.svm._classes\nSVC\n)\x81"[..], &state, b"b", &short(text), b"0"].concat()
    }),
    ("memo", |module, name, text| {
        [format!("c{module}\n{name}\n").as_bytes(), b"q\x07", b"0h\x07(", &short(text), b"tR"].concat()
    }),
];

type Place = fn(Vec<u8>) -> Vec<u8>;

/// Places for a call, each a whole pickle.
const PLACES: &[(&str, Place)] = &[
    ("alone", |call| [b"\x80\x04", &call[..], b"."].concat()),
    ("protocol 0", |call| [b"(", &call[..], b"t."].concat()),
    ("in lists", |call| [&b"\x80\x02"[..], &b"]".repeat(60), &call, &b"a".repeat(60), b"."].concat()),
    ("in an estimator", |call| {
        let state = [b"}(", &short("kernel")[..], &call, b"u"].concat();
        [&b"\x80\x03csklearn.svm._classes\nSVC\n)\x81"[..], &state, b"b."].concat()
    }),
];

/// `SHORT_BINUNICODE`, or its longer brother of protocol 1.
fn short(text: &str) -> Vec<u8> {
    [b"X", &u32::try_from(text.len()).unwrap().to_le_bytes()[..], text.as_bytes()].concat()
}

/// Whether a name may be that of an estimator: then it is a record like any other, and is missed only where one is needed.
fn is_of_a_library(module: &str) -> bool {
    ["cloudpickle", "functools", "joblib", "numpy", "pandas", "scipy", "sklearn"]
        .contains(&module.split('.').next().unwrap())
}

/// The refusal, and how long it took of this thread's time, whatever else the machine does.
fn refusal(folder: &Path, pickle: &[u8]) -> (LoadError, Duration) {
    let file = folder.join("model.pkl");
    std::fs::write(&file, pickle).unwrap();
    let start = thread_time();
    let refusal = models::load(&file).expect_err("a refusal");
    (refusal, thread_time() - start)
}

/// What this thread has had of a processor (proc(5), `schedstat`).
fn thread_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

#[test]
fn no_function_is_called_and_each_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let marker = folder.path().join("executed");
    let command = format!("touch {}", marker.display());
    let mut n_refused = 0;
    for (module, name) in FUNCTIONS {
        // What Python 2 called otherwise is named as it is called now.
        let now = module.replace("__builtin__", "builtins");
        for (way, call) in CALLS {
            for (place, wrap) in PLACES {
                let (refusal, took) = refusal(folder.path(), &wrap(call(module, name, &command)));
                let message = refusal.to_string();
                let is_named = message.contains(&format!("`{now}.{name}`"));
                assert!(is_named || is_of_a_library(module), "{module}.{name}, {way}, {place}: {message}");
                assert!(took < Duration::from_secs(1), "{way}, {place}: {took:?}");
                n_refused += 1;
            }
        }
    }
    assert!(n_refused >= 1000, "{n_refused}");
    assert!(!marker.exists());
}

#[test]
fn bombs_and_numbers_for_functions_are_refused_at_once() {
    let laughs = {
        // Each list holds the one before ten times.
        let level = |index: u8| [b"](", &[b'h', index].repeat(10)[..], b"eq", &[index + 1]].concat();
        let levels: Vec<u8> = (0..60).flat_map(level).collect();
        [&b"\x80\x02]q\x00"[..], &levels, b"."].concat()
    };
    let bombs: &[(&str, Vec<u8>)] = &[
        ("EXT1", b"\x80\x02\x82\x01)R.".to_vec()),
        ("EXT2", b"\x80\x02\x83\x01\x00)R.".to_vec()),
        ("EXT4", b"\x80\x02\x84\x01\x00\x00\x00)R.".to_vec()),
        ("PERSID", b"(lPos.system\n.".to_vec()),
        ("BINPERSID", [b"\x80\x02", &short("os.system")[..], b"Q."].concat()),
        ("lists in lists", [&b"\x80\x02"[..], &b"]".repeat(1 << 20), b"."].concat()),
        ("marks", [&b"\x80\x02"[..], &b"(".repeat(1 << 20), b"t."].concat()),
        ("memo without end", [&b"\x80\x04]"[..], &b"\x94".repeat(1 << 20), b"."].concat()),
        ("memo far away", b"\x80\x02]r\xff\xff\xff\xff.".to_vec()),
        ("laughs", laughs),
        ("text that is not there", b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x7f.".to_vec()),
        ("bytes that are not there", b"\x80\x04\x8e\xff\xff\xff\xff\x00\x00\x00\x00.".to_vec()),
        ("frame that is not there", b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\xffN.".to_vec()),
        ("number that is not there", b"\x80\x02\x8b\xff\xff\xff\x7f.".to_vec()),
        ("itself", b"\x80\x02]q\x00h\x00a.".to_vec()),
    ];
    let folder = tempfile::tempdir().unwrap();
    for (name, bomb) in bombs {
        let (refusal, took) = refusal(folder.path(), bomb);
        assert!(took < Duration::from_secs(1), "{name}: {took:?}, {refusal}");
        assert!(refusal.to_string().len() < 1000, "{name}: {refusal}");
    }
}
