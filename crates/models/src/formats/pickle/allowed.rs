//! Which classes and functions a model file may name, and which of them it may call.
//!
//! Nothing is ever executed: a name that is allowed becomes an inert record. The list is here so that a file that asks
//! for more than data is refused at once, by name and place, and not first when somebody wonders what it was for.

/// Packages of data: whatever is in them may be named. `_loss` is what scikit-learn's compiled losses call themselves.
const PACKAGES: &[&str] = &[
    "_loss",
    "catboost",
    "category_encoders",
    "imblearn",
    "joblib",
    "lightgbm",
    "numpy",
    "pandas",
    "scipy",
    "sklearn",
    "xgboost",
];

/// Single names of Python's own library that are data.
const NAMES: &[&str] = &[
    "_codecs.encode",
    "builtins.DeprecationWarning",
    "builtins.FutureWarning",
    "builtins.bool",
    "builtins.bytearray",
    "builtins.bytes",
    "builtins.complex",
    "builtins.dict",
    "builtins.float",
    "builtins.frozenset",
    "builtins.int",
    "builtins.list",
    "builtins.object",
    "builtins.range",
    "builtins.set",
    "builtins.slice",
    "builtins.str",
    "builtins.tuple",
    "collections.Counter",
    "collections.OrderedDict",
    "collections.defaultdict",
    "collections.deque",
    "copyreg._reconstructor",
    "datetime.date",
    "datetime.datetime",
    "datetime.timedelta",
    "datetime.timezone",
    "functools.partial",
];

/// Functions of [`PACKAGES`] that stand for the making of an object. Classes in CamelCase need not be here.
const MAKERS: &[&str] = &[
    "numpy._core._multiarray_umath._reconstruct",
    "numpy._core._ufunc_reconstruct",
    "numpy._core.multiarray._reconstruct",
    "numpy._core.multiarray.scalar",
    "numpy._core.numeric._frombuffer",
    "numpy.core._ufunc_reconstruct",
    "numpy.core.multiarray._reconstruct",
    "numpy.core.multiarray.scalar",
    "numpy.core.numeric._frombuffer",
    "numpy.dtype",
    "numpy.ma.core._mareconstruct",
    "numpy.ndarray",
    "numpy.random.__RandomState_ctor",
    "numpy.random._pickle.__bit_generator_ctor",
    "numpy.random._pickle.__generator_ctor",
    "numpy.random._pickle.__randomstate_ctor",
    "pandas._libs.arrays.__pyx_unpickle_NDArrayBacked",
    "pandas._libs.internals._unpickle_block",
    "pandas.core.indexes.base._new_Index",
    "sklearn.metrics._dist_metrics.newObj",
    "sklearn.neighbors._ball_tree.newObj",
    "sklearn.neighbors._dist_metrics.newObj",
    "sklearn.neighbors._kd_tree.newObj",
    "sklearn.neighbors.ball_tree.newObj",
    "sklearn.neighbors.dist_metrics.newObj",
    "sklearn.neighbors.kd_tree.newObj",
];

/// Whether a file may name this class or function, given as `module.name`.
pub(crate) fn may_be_named(path: &str) -> bool {
    let package = path.split_once('.').map_or("", |(package, _)| package);
    PACKAGES.contains(&package) || NAMES.contains(&path)
}

/// Whether a file may write a call of this, given that it may name it.
pub(crate) fn may_be_called(path: &str) -> bool {
    let name = path.rsplit_once('.').map_or(path, |(_, name)| name);
    let is_class = name.trim_start_matches('_').starts_with(|letter: char| letter.is_ascii_uppercase());
    let is_extension_type = name.starts_with("__pyx_unpickle_");
    is_class || is_extension_type || MAKERS.contains(&path) || NAMES.contains(&path)
}

/// The name that Python 3 has for a module of Python 2.
pub(super) fn modern_module(module: &str) -> &str {
    match module {
        "__builtin__" => "builtins",
        "copy_reg" => "copyreg",
        "exceptions" => "builtins",
        module => module,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_is_not_named() {
        for path in [
            "os.system",
            "posix.system",
            "nt.system",
            "subprocess.Popen",
            "builtins.eval",
            "builtins.exec",
            "builtins.getattr",
            "builtins.__import__",
            "importlib.import_module",
            "operator.attrgetter",
            "runpy.run_path",
            "__main__.Preprocessor",
            "sklearnx.Model",
            "numpyy.ndarray",
            "cloudpickle.cloudpickle._make_skel_class",
            "",
        ] {
            assert!(!may_be_named(path), "{path}");
        }
    }

    #[test]
    fn functions_are_not_called() {
        for path in [
            "numpy.load",
            "numpy.testing._private.utils.runstring",
            "pandas.eval",
            "pandas.read_pickle",
            "joblib.load",
            "sklearn.utils.validation.check_array",
            "scipy.optimize.minimize",
        ] {
            assert!(may_be_named(path) && !may_be_called(path), "{path}");
        }
        for path in [
            "sklearn.tree._tree.Tree",
            "sklearn._loss._loss.__pyx_unpickle_CyHalfSquaredError",
            "numpy.dtype",
        ] {
            assert!(may_be_named(path) && may_be_called(path), "{path}");
        }
    }
}
