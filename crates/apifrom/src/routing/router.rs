//! Finds the endpoint of a path and a method.

use std::borrow::Cow;

use http::Method;

use super::path::{CanonicalPath, Captures, PathFault};
use super::template::PathTemplate;

/// The index of an endpoint in the engine's table.
pub(crate) type EndpointIndex = usize;

/// What stands at one path: its methods and what answers the others.
#[derive(Debug)]
struct Place {
    template: PathTemplate,
    methods: Vec<(Method, EndpointIndex)>,
    options: EndpointIndex,
    not_allowed: EndpointIndex,
}

/// The finished table.
#[derive(Debug)]
pub(crate) struct Router {
    matcher: matchit::Router<usize>,
    places: Vec<Place>,
}

impl Router {
    /// Looks up `path`, which must still be as it was sent, and writes what it holds into `captures`.
    /// A 405 is an endpoint as well; `None` where no template matches.
    pub(crate) fn find(
        &self,
        method: &Method,
        path: &str,
        captures: &mut Captures,
    ) -> Result<Option<EndpointIndex>, PathFault> {
        let canonical = CanonicalPath::parse(path)?;
        let Ok(matched) = self.matcher.at(&canonical.0) else {
            return Ok(None);
        };
        let Some(place) = self.places.get(*matched.value) else {
            return Ok(None);
        };
        captures.find(&canonical.0, place.template.places());
        if let Cow::Owned(resolved) = canonical.0 {
            captures.keep_resolved(resolved);
        }
        Ok(Some(place.endpoint(method)))
    }
}

impl Place {
    fn endpoint(&self, method: &Method) -> EndpointIndex {
        self.listed(method)
            .unwrap_or(if *method == Method::OPTIONS {
                self.options
            } else {
                self.not_allowed
            })
    }

    /// HEAD follows GET unless it has an endpoint of its own.
    fn listed(&self, method: &Method) -> Option<EndpointIndex> {
        let listed = |wanted: &Method| {
            self.methods
                .iter()
                .find(|(method, _)| method == wanted)
                .map(|&(_, index)| index)
        };
        listed(method).or_else(|| {
            (*method == Method::HEAD)
                .then(|| listed(&Method::GET))
                .flatten()
        })
    }
}

/// A router under construction: paths are gathered first, so that every conflict is reported.
#[derive(Debug, Default)]
pub(crate) struct RouterBuilder {
    places: Vec<(PathTemplate, Vec<(Method, EndpointIndex)>)>,
}

impl RouterBuilder {
    /// Places an endpoint. The error says what it conflicts with.
    pub(crate) fn add(
        &mut self,
        template: &PathTemplate,
        method: Method,
        endpoint: EndpointIndex,
    ) -> Result<(), String> {
        let pattern = template.pattern();
        let place = self
            .places
            .iter_mut()
            .find(|(known, _)| known.pattern() == pattern);
        let Some((known, methods)) = place else {
            self.places
                .push((template.clone(), vec![(method, endpoint)]));
            return Ok(());
        };
        if methods.iter().any(|(taken, _)| *taken == method) {
            return Err(format!(
                "{method} {template} is taken already, by {method} {known}"
            ));
        }
        methods.push((method, endpoint));
        Ok(())
    }

    /// The places with the methods that `Allow` names there, HEAD and OPTIONS included.
    pub(crate) fn places(&self) -> impl Iterator<Item = (&PathTemplate, Vec<Method>)> {
        self.places.iter().map(|(template, methods)| {
            let mut allowed: Vec<Method> = methods.iter().map(|(m, _)| m.clone()).collect();
            for implied in [Method::HEAD, Method::OPTIONS] {
                let follows = implied != Method::HEAD || allowed.contains(&Method::GET);
                if follows && !allowed.contains(&implied) {
                    allowed.push(implied);
                }
            }
            (template, allowed)
        })
    }

    /// Compiles the table; `answers` gives, for each place in the order of
    /// [`RouterBuilder::places`], the endpoints of OPTIONS and of 405.
    pub(crate) fn build(
        self,
        answers: impl IntoIterator<Item = (EndpointIndex, EndpointIndex)>,
    ) -> Result<Router, Vec<String>> {
        let mut matcher = matchit::Router::new();
        let mut places = Vec::new();
        let mut conflicts = Vec::new();
        for ((template, methods), (options, not_allowed)) in self.places.into_iter().zip(answers) {
            if let Err(error) = matcher.insert(template.pattern(), places.len()) {
                let reason = match error {
                    matchit::InsertError::Conflict { with } => {
                        let known = places
                            .iter()
                            .find(|place: &&Place| place.template.pattern() == with)
                            .map_or(with.clone(), |place| place.template.to_string());
                        format!("{template} conflicts with {known}")
                    }
                    other => format!("{template}: {other}"),
                };
                conflicts.push(reason);
            }
            places.push(Place {
                template,
                methods,
                options,
                not_allowed,
            });
        }
        if conflicts.is_empty() {
            Ok(Router { matcher, places })
        } else {
            Err(conflicts)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: EndpointIndex = 100;
    const NOT_ALLOWED: EndpointIndex = 101;

    fn router(routes: &[(&str, &str)]) -> Router {
        let mut builder = RouterBuilder::default();
        for (index, (method, template)) in routes.iter().enumerate() {
            let template = PathTemplate::parse(template).unwrap();
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            builder.add(&template, method, index).unwrap();
        }
        let answers = vec![(OPTIONS, NOT_ALLOWED); routes.len()];
        builder.build(answers).unwrap()
    }

    fn find(router: &Router, method: &str, path: &str) -> (EndpointIndex, Vec<String>) {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut captures = Captures::default();
        let found = router.find(&method, path, &mut captures).unwrap();
        let values = (0..captures.len())
            .map(|at| captures.value(at, path).unwrap().into_owned())
            .collect();
        (found.unwrap_or(404), values)
    }

    #[test]
    fn captures_come_decoded_once_and_may_hold_slashes() {
        let router = router(&[("GET", "/users/{id}"), ("GET", "/files/{*rest}")]);
        assert_eq!(find(&router, "GET", "/users/12"), (0, vec!["12".into()]));
        assert_eq!(
            find(&router, "GET", "/users/a%2Fb"),
            (0, vec!["a/b".into()])
        );
        assert_eq!(
            find(&router, "GET", "/users/a%252Fb"),
            (0, vec!["a%2Fb".into()])
        );
        assert_eq!(
            find(&router, "GET", "/files/a/b%20c"),
            (1, vec!["a/b c".into()])
        );
        assert_eq!(find(&router, "GET", "/users/a/b"), (404, vec![]));
        assert_eq!(find(&router, "GET", "/users/"), (404, vec![]));
        assert_eq!(find(&router, "GET", "/%75sers/7"), (0, vec!["7".into()]));
    }

    #[test]
    fn a_literal_segment_wins_over_a_capture() {
        let router = router(&[("GET", "/users/{id}"), ("GET", "/users/me")]);
        assert_eq!(find(&router, "GET", "/users/me").0, 1);
        assert_eq!(find(&router, "GET", "/users/you").0, 0);
    }

    #[test]
    fn head_follows_get_and_other_methods_reach_the_405_of_the_place() {
        let router = router(&[("GET", "/a"), ("POST", "/a"), ("HEAD", "/b")]);
        assert_eq!(find(&router, "HEAD", "/a").0, 0);
        assert_eq!(find(&router, "OPTIONS", "/a").0, OPTIONS);
        assert_eq!(find(&router, "DELETE", "/a").0, NOT_ALLOWED);
        assert_eq!(find(&router, "TRACE", "/a").0, NOT_ALLOWED);
        assert_eq!(find(&router, "GET", "/b").0, NOT_ALLOWED);
    }

    #[test]
    fn names_may_differ_between_methods_of_one_path() {
        let router = router(&[("GET", "/a/{id}"), ("DELETE", "/a/{key}")]);
        assert_eq!(find(&router, "DELETE", "/a/7"), (1, vec!["7".into()]));
    }

    #[test]
    fn conflicts_name_both_sides() {
        let mut builder = RouterBuilder::default();
        let first = PathTemplate::parse("/a/{id}").unwrap();
        let second = PathTemplate::parse("/a/{key}").unwrap();
        builder.add(&first, Method::GET, 0).unwrap();
        let error = builder.add(&second, Method::GET, 1).unwrap_err();
        assert_eq!(error, "GET /a/{key} is taken already, by GET /a/{id}");
    }

    #[test]
    fn allow_lists_the_implied_methods() {
        let mut builder = RouterBuilder::default();
        let template = PathTemplate::parse("/a").unwrap();
        builder.add(&template, Method::GET, 0).unwrap();
        let (_, allowed) = builder.places().next().unwrap();
        assert_eq!(allowed, [Method::GET, Method::HEAD, Method::OPTIONS]);
    }
}
