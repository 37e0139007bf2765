//! joblib's arrays: the pickle names a wrapper with type and shape, and the elements follow in the file.

use crate::fault::Fault;
use crate::formats::cursor::Cursor;
use crate::formats::numpy::{self, Array, Dtype, Kind};
use crate::formats::pickle;
use crate::record::{Id, Records};

/// The class that announces array data, in joblib and in the copy that old scikit-learn had.
pub(crate) const WRAPPERS: &[&str] =
    &["joblib.numpy_pickle.NumpyArrayWrapper", "sklearn.externals.joblib.numpy_pickle.NumpyArrayWrapper"];

/// Reads the array that a wrapper with this state announces; the cursor stands right behind the wrapper.
pub(crate) fn read_array<'a>(
    cursor: &mut Cursor<'a>,
    records: &mut Records<'a>,
    state: Id,
) -> Result<Array<'a>, Fault> {
    let offset = cursor.position();
    let attribute = |records: &Records<'a>, key: &str| {
        let problem = || Fault::damaged(offset, format!("an array does not say its {key}"));
        records.attribute(state, key).ok_or_else(problem)
    };
    let dtype = Dtype::from_records(records, attribute(records, "dtype")?)?;
    if dtype.kind == Kind::Object {
        return read_objects(cursor, records);
    }
    let shape = numpy::shape_of(records, attribute(records, "shape")?)?;
    let fortran = records.text(attribute(records, "order")?) == Some("F");
    // Since joblib 1.2 the elements are aligned: one byte says how many bytes of padding follow it.
    let aligned = records.attribute(state, "numpy_array_alignment_bytes").is_some_and(|id| id != Id::NONE);
    if aligned {
        let padding = cursor.byte()?;
        cursor.take(padding.into())?;
    }
    let bytes = cursor.take(numpy::byte_size(&dtype, &shape)?)?;
    Array::new(dtype, shape, fortran, bytes)
}

/// Objects are not written as elements: a whole pickle of the array follows.
fn read_objects<'a>(cursor: &mut Cursor<'a>, records: &mut Records<'a>) -> Result<Array<'a>, Fault> {
    let offset = cursor.position();
    let id = pickle::read_nested(cursor, records)?;
    let array = Array::from_records(records, id)?;
    let objects = array.as_ref().and_then(|array| array.object_ids());
    let (Some(array), Some(objects)) = (array, objects) else {
        return Err(Fault::damaged(offset, "an array of objects is no array of objects"));
    };
    // `object_ids` has put them in order, so the first index does not run fastest any more.
    Array::objects(array.shape.clone(), false, objects)
}
