//! JPEGs decoded in a process of its own, which may do nothing else.
//!
//! libjpeg-turbo is C, and its input comes from strangers. In the daemon it would run beside the
//! log, the tokens and the TLS key. So the daemon starts itself once more for each worker
//! ([`Decoder::confined`] → [`decode_for_parent`]). That process gives up every right but to compute
//! and to answer (seccomp). All other formats have decoders in Rust and stay in the worker.
//!
//! The bytes of the picture and its pixels lie in memory that both processes share. The parent
//! copies the pixels out before it looks at them, and trusts no number that the child names.

mod child;
mod messages;
mod parent;

pub use child::decode_for_parent;
pub use parent::Decoder;
