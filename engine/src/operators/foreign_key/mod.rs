//! Tables joined on a foreign key: the left table's rows name the right table's key in a column or an expression.
//!
//! The two tables are partitioned differently, so the join has three parts with a topic between each two. [`Subscribe`]
//! sends each change of the left to the partition where the right keeps the foreign key. [`ForeignKeyJoin`] remembers there
//! which rows of the left name which key, and sends results back to the partition of the left's key, for changes of either
//! side. [`Resolve`] keeps the results and leaves out those that were overtaken: a row that changed its foreign key gets
//! results from two partitions, in whatever order. Each result therefore names the version of the left's row
//! that it was made of, and none older than the last one counts.

mod join;
mod message;
mod resolve;
mod subscribe;

pub(super) use join::ForeignKeyJoin;
pub(super) use resolve::Resolve;
pub(super) use subscribe::Subscribe;
