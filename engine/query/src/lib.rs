//! Any SQL over live tables and topics, by DataFusion.
