//! Real data: the example of the flights on the embedded log and on Kafka. Its final tables must be exactly what DataFusion
//! computes in batch over the same files.

mod batch;
mod live;
