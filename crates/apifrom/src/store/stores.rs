//! The servers of one API.

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
    use crate::store::{Purpose, Redis};

    /// The servers, by their addresses, each connected to once for each purpose.
    #[derive(Default)]
    pub(crate) struct Stores(HashMap<(String, Purpose), Arc<Redis>>);

    impl Stores {
        /// The server at `url`; nothing where the address is none.
        pub(crate) fn redis(
            &mut self,
            url: &str,
            purpose: Purpose,
            sink: &Arc<dyn Sink>,
        ) -> Option<Arc<Redis>> {
            let place = (url.to_owned(), purpose);
            if let Some(known) = self.0.get(&place) {
                return Some(Arc::clone(known));
            }
            let connected = Arc::new(Redis::connect(url, purpose, Arc::clone(sink))?);
            self.0.insert(place, Arc::clone(&connected));
            Some(connected)
        }
    }
}
