//! The servers of one API, each connected to once.

/// Nothing, where no kind of server is compiled in.
#[cfg(not(feature = "redis"))]
#[derive(Default)]
pub(crate) struct Stores {}

#[cfg(feature = "redis")]
pub(crate) use self::connected::Stores;

#[cfg(feature = "redis")]
mod connected {
    use std::collections::HashMap;
    use std::sync::Arc;

    use crate::logging::Sink;
    use crate::store::Redis;

    /// The servers, by their addresses.
    #[derive(Default)]
    pub(crate) struct Stores(HashMap<String, Arc<Redis>>);

    impl Stores {
        /// The server at `url`; nothing where the address is none.
        pub(crate) fn redis(&mut self, url: &str, sink: &Arc<dyn Sink>) -> Option<Arc<Redis>> {
            if let Some(known) = self.0.get(url) {
                return Some(Arc::clone(known));
            }
            let connected = Arc::new(Redis::connect(url, Arc::clone(sink))?);
            self.0.insert(url.to_owned(), Arc::clone(&connected));
            Some(connected)
        }
    }
}
