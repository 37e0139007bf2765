//! Tests of the whole crate, on real files.

#[cfg(test)]
mod answers;
#[cfg(test)]
mod cases;
#[cfg(test)]
mod folders;
#[cfg(test)]
mod malicious;
#[cfg(test)]
mod onnx;
#[cfg(test)]
mod table;
