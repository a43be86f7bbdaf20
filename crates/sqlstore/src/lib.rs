//! sqlstore
