"""Writes the Parquet files of this folder: pip install pandas pyarrow polars, and python make.py"""

import datetime as dt
import decimal
import os

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

d = os.path.dirname(os.path.abspath(__file__)) + "/"
df = pd.DataFrame({"a": [1, 2, 3], "x": [1.5, None, -2.0], "t": ["red", None, "blue"], "b": [True, False, True]})
df.to_parquet(d + "plain.parquet")  # pandas' own way: snappy, dictionaries
df.index = [5, 6, 7]
df.to_parquet(d + "index.parquet", compression="gzip")
t = pa.table(
    {
        "a": pa.array([1, 2, 3], pa.int64()),
        "x": pa.array([1.5, None, -2.0], pa.float64()),
        "t": ["red", None, "blue"],
        "b": [True, False, True],
    }
)
pq.write_table(t, d + "v2_zstd.parquet", compression="zstd", data_page_version="2.0", version="2.6")
pq.write_table(t, d + "plain_encoding.parquet", use_dictionary=False, compression="none", row_group_size=2)
pq.write_table(
    t,
    d + "deltas.parquet",
    use_dictionary=False,
    column_encoding={"a": "DELTA_BINARY_PACKED", "x": "PLAIN", "t": "DELTA_LENGTH_BYTE_ARRAY", "b": "RLE"},
    data_page_version="2.0",
)
k = pa.table(
    {
        "i8": pa.array([-1, 2], pa.int8()),
        "u32": pa.array([4294967295, 0], pa.uint32()),
        "f": pa.array([0.5, None], pa.float32()),
        "day": pa.array([dt.date(2024, 1, 1), None]),
        "ms": pa.array([dt.datetime(2024, 1, 1, 12), None], pa.timestamp("ms")),
        "us": pa.array([dt.datetime(2024, 1, 1, 12, 0, 0, 5), None], pa.timestamp("us", tz="UTC")),
        "ns": pa.array([1, None], pa.timestamp("ns")),
        "d": pa.array([decimal.Decimal("-10.50"), None], pa.decimal128(10, 2)),
        "cat": pa.array(["p", "q"]).dictionary_encode(),
        "nothing": pa.nulls(2),
    }
)
pq.write_table(k, d + "kinds.parquet")
pq.write_table(k.select(["ns"]), d + "int96.parquet", use_deprecated_int96_timestamps=True)
pq.write_table(pa.table({"l": [[1], [2, 3]]}), d + "lists.parquet")
pq.write_table(pa.table({"a": [1]}), d + "brotli.parquet", compression="brotli")
# far more than its length
pq.write_table(pa.table({"a": pa.array([7] * 5_000_000)}), d + "repeated.parquet", write_statistics=False)
pl.DataFrame(
    {"a": [1, 2, 3], "x": [1.5, None, -2.0], "t": ["red", None, "blue"], "b": [True, False, True]}
).write_parquet(d + "polars.parquet")
