//! The model server as its clients see it: requests in, responses out, on real models.

#[cfg(test)]
mod batching;
#[cfg(test)]
mod cache;
#[cfg(test)]
mod cases;
#[cfg(test)]
mod column_names;
#[cfg(test)]
mod compressed;
#[cfg(test)]
mod examples;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod grpc;
#[cfg(test)]
mod metadata;
#[cfg(test)]
mod methods;
#[cfg(test)]
mod prediction_log;
#[cfg(test)]
mod recorded;
#[cfg(test)]
mod repository;
#[cfg(test)]
mod socket;
#[cfg(test)]
mod whole_batches;
