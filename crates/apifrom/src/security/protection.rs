//! What a program declares about who may call, and how that becomes what a request meets.
//!
//! A declaration is a value: it can stand on an endpoint, on a router, on the whole API, or inside
//! another one. It is compiled once, however many endpoints it stands on, so that they share its
//! keys and caches.

use std::any::{Any, TypeId};
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use super::authenticator::Authenticator;
use super::scope::Scope;
use crate::clock::Clock;
use crate::error::{ConfigError, ConfigErrors};
use crate::facts::{AccessFacts, CredentialFacts, MethodFacts, PlaceFacts};
use crate::logging::Sink;
use crate::secret::Secret;

/// One method of authentication, as it is declared.
pub trait AuthMethod: fmt::Debug + Send + Sync + 'static {
    /// What the program called it: `jwt_required`. Errors begin with it.
    fn declared_as(&self) -> &'static str;

    /// Prepares everything that a request needs; what is wrong is noted, and nothing returned.
    fn compile(&self, compiling: &mut Compiling<'_>) -> Option<Arc<dyn Authenticator>>;

    /// What there is to know of it, without anything secret.
    fn facts(&self) -> MethodFacts {
        MethodFacts::new(self.declared_as(), CredentialFacts::Other)
    }

    /// Whether it refuses such a credential; `scopes` are those that are required beside its own.
    fn promises(&self, _forgery: Forgery, _scopes: &[String]) -> bool {
        true
    }

    /// A credential that tries what it promises; `scopes` are those that are required beside its own.
    fn forge(&self, _forgery: Forgery, _scopes: &[String]) -> Forged {
        Forged::Impossible("its credentials are of the program's own making")
    }
}

/// A credential that one promise is tried with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Forgery {
    /// One that is let in.
    Valid,
    /// One that nobody was given.
    Unknown,
    /// A token whose claims were changed after it was signed.
    Tampered,
    /// A token that says that it is not signed.
    Unsigned,
    /// A token whose time is over.
    Expired,
    /// A token that is good for ever.
    Endless,
    /// A token for another service.
    OtherAudience,
    /// A token for no service in particular.
    NoAudience,
    /// A token of somebody else.
    OtherIssuer,
    /// One that lacks what is required.
    NoScopes,
    /// One whose bearer lacks a role.
    NoRoles,
}

/// What came of a forgery.
#[derive(Debug)]
#[non_exhaustive]
pub enum Forged {
    /// What is to be sent, and where.
    Credential(PlaceFacts, Secret<String>),
    /// Nothing that is promised would be tried by it.
    NotPromised,
    /// It cannot be made here, and why.
    Impossible(&'static str),
}

/// Who may call, declared. Cheap to clone.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Protection {
    /// One method must pass.
    Method(Arc<dyn AuthMethod>),
    /// One of several must pass; the first that does is taken.
    Any(Vec<Protection>),
    /// All of several must pass.
    All(Vec<Protection>),
}

impl Protection {
    /// What there is to know of it, without anything secret.
    pub fn facts(&self) -> AccessFacts {
        let each = |parts: &[Self]| parts.iter().map(Self::facts).collect();
        match self {
            Self::Method(method) => AccessFacts::Method(Box::new(method.facts())),
            Self::Any(parts) => AccessFacts::Any(each(parts)),
            Self::All(parts) => AccessFacts::All(each(parts)),
        }
    }
}

/// As it is read: `jwt_required`, `any of (jwt_required, api_key_required)`.
impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (how, parts) = match self {
            Self::Method(method) => return f.write_str(method.declared_as()),
            Self::Any(parts) => ("any", parts),
            Self::All(parts) => ("all", parts),
        };
        write!(f, "{how} of (")?;
        for (index, part) in parts.iter().enumerate() {
            let before = if index > 0 { ", " } else { "" };
            write!(f, "{before}{part}")?;
        }
        f.write_str(")")
    }
}

impl<M: AuthMethod> From<M> for Protection {
    fn from(method: M) -> Self {
        Self::Method(Arc::new(method))
    }
}

/// What one endpoint asks of a request, by the places of its methods.
#[derive(Debug, Clone)]
pub(crate) enum Requirement {
    Method(usize),
    Any(Box<[Requirement]>),
    All(Box<[Requirement]>),
}

/// A requirement and the methods that it names.
pub(crate) struct Compiled {
    pub(crate) methods: Vec<Arc<dyn Authenticator>>,
    pub(crate) requirement: Requirement,
}

/// A value that all compiled methods of one engine share, such as the pool that hashes passwords.
type Shared = HashMap<TypeId, Arc<dyn Any + Send + Sync>>;

/// A declaration and what became of it; `None` where something in it is wrong.
type Known = (Arc<dyn AuthMethod>, Option<Arc<dyn Authenticator>>);

/// Compiles the protections of one API.
pub(crate) struct Compiler {
    strict: bool,
    processes: u32,
    sink: Arc<dyn Sink>,
    clock: Arc<dyn Clock>,
    shared: Shared,
    /// What was compiled already, with the declaration that keeps its address from being reused.
    known: HashMap<usize, Known>,
    warnings: Vec<ConfigError>,
}

/// What a method is given while it is compiled.
pub struct Compiling<'a> {
    compiler: &'a mut Compiler,
    path: String,
    errors: &'a mut ConfigErrors,
}

impl Compiling<'_> {
    /// Notes that `field` of the declaration is wrong, and why.
    pub fn error(&mut self, field: &str, message: impl Into<String>) {
        self.errors.note(format!("{}.{field}", self.path), message);
    }

    /// Notes an error whose path begins inside the declaration.
    pub fn note(&mut self, error: ConfigError) {
        self.errors.push(error.within(&self.path));
    }

    /// Notes that `field` is weak: a warning at the start, an error under `strict`.
    pub fn warn(&mut self, field: &str, message: impl Into<String>) {
        let warning = ConfigError::new(format!("{}.{field}", self.path), message);
        if self.compiler.strict {
            self.errors.push(warning);
        } else if !self.compiler.warnings.contains(&warning) {
            self.compiler.warnings.push(warning);
        }
    }

    /// How many errors there are so far, so that a method can tell whether it noted one.
    pub fn errors(&self) -> usize {
        self.errors.iter().count()
    }

    /// The scopes that a declaration requires; what is none is noted.
    pub fn scopes(&mut self, scopes: &[String]) -> Vec<Scope> {
        let mut parsed = Vec::new();
        for (index, scope) in scopes.iter().enumerate() {
            match Scope::parse(scope) {
                Ok(scope) => parsed.push(scope),
                Err(why) => self.error(&format!("scopes[{index}]"), why.to_string()),
            }
        }
        parsed
    }

    /// The name under which a handler finds what a declaration proves; what is no name of an
    /// attribute is noted.
    pub fn state_name(&mut self, name: Option<&str>) -> Option<Arc<str>> {
        let name = name?;
        let mut bytes = name.bytes();
        let is_name = bytes
            .next()
            .is_some_and(|first| first.is_ascii_alphabetic())
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !is_name {
            self.error("name", "expected letters, digits and _, a letter first");
        }
        Some(name.into())
    }

    /// The one value of type `T` of this engine, made at its first use.
    pub fn shared<T: Send + Sync + 'static>(&mut self, make: impl FnOnce() -> T) -> Arc<T> {
        let held = self
            .compiler
            .shared
            .entry(TypeId::of::<T>())
            .or_insert_with(|| Arc::new(make()));
        // The key is the type, so the other arm cannot be reached; it would be a value unshared.
        Arc::clone(held)
            .downcast()
            .unwrap_or_else(|_| unreachable!("the key of a shared value is its type"))
    }

    /// How many processes answer for the API.
    pub fn processes(&self) -> u32 {
        self.compiler.processes
    }

    /// Where records go.
    pub fn sink(&self) -> Arc<dyn Sink> {
        Arc::clone(&self.compiler.sink)
    }

    /// The clock that decisions take the time from.
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.compiler.clock)
    }
}

impl Compiler {
    pub(crate) fn new(
        strict: bool,
        processes: u32,
        sink: Arc<dyn Sink>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            strict,
            processes,
            sink,
            clock,
            shared: Shared::new(),
            known: HashMap::new(),
            warnings: Vec::new(),
        }
    }

    /// What is weak and no error.
    /// Every method that was compiled so far.
    pub(crate) fn authenticators(&self) -> Vec<Arc<dyn Authenticator>> {
        let compiled = self.known.values().filter_map(|(_, made)| made.clone());
        compiled.collect()
    }

    pub(crate) fn into_warnings(self) -> Vec<ConfigError> {
        self.warnings
    }

    /// Compiles everything in `protections`, all of which must pass. `None` where there is
    /// nothing, or something is wrong.
    pub(crate) fn compile(
        &mut self,
        protections: &[Protection],
        path: &str,
        errors: &mut ConfigErrors,
    ) -> Option<Compiled> {
        let before = errors.iter().count();
        let mut methods = Vec::new();
        let mut parts = Vec::new();
        for protection in protections {
            parts.extend(self.part(protection, path, &mut methods, errors));
        }
        let requirement = match parts.len() {
            0 => return None,
            1 => parts.pop()?,
            _ => Requirement::All(parts.into()),
        };
        let compiled = Compiled {
            methods,
            requirement,
        };
        if let Err(name) = compiled.names(&compiled.requirement) {
            errors.note(
                path,
                format!(
                    "two methods that must both pass are found under request.state.{name}; give \
                     one of them another name="
                ),
            );
        }
        (errors.iter().count() == before).then_some(compiled)
    }

    fn part(
        &mut self,
        protection: &Protection,
        path: &str,
        methods: &mut Vec<Arc<dyn Authenticator>>,
        errors: &mut ConfigErrors,
    ) -> Option<Requirement> {
        let (parts, is_any) = match protection {
            Protection::Method(method) => {
                let authenticator = self.method(method, path, errors)?;
                // The same declaration on an endpoint and on its router asks once.
                let known = methods
                    .iter()
                    .position(|known| Arc::ptr_eq(known, &authenticator));
                return Some(Requirement::Method(known.unwrap_or_else(|| {
                    methods.push(authenticator);
                    methods.len() - 1
                })));
            }
            Protection::Any(parts) => (parts, true),
            Protection::All(parts) => (parts, false),
        };
        if parts.is_empty() {
            errors.note(
                format!("{path}.multi_auth_required.auth_methods"),
                "expected at least one method",
            );
            return None;
        }
        let compiled: Vec<_> = parts
            .iter()
            .map(|part| self.part(part, path, methods, errors))
            .collect();
        // One that is wrong must not leave the others weaker than they were declared.
        let compiled = compiled.into_iter().collect::<Option<Box<[_]>>>()?;
        Some(if is_any {
            Requirement::Any(compiled)
        } else {
            Requirement::All(compiled)
        })
    }

    fn method(
        &mut self,
        method: &Arc<dyn AuthMethod>,
        path: &str,
        errors: &mut ConfigErrors,
    ) -> Option<Arc<dyn Authenticator>> {
        let address = Arc::as_ptr(method).cast::<()>() as usize;
        if let Some((_, known)) = self.known.get(&address) {
            return known.clone();
        }
        let compiled = method.compile(&mut Compiling {
            path: format!("{path}.{}", method.declared_as()),
            compiler: self,
            errors,
        });
        self.known
            .insert(address, (Arc::clone(method), compiled.clone()));
        compiled
    }
}

impl Compiled {
    /// How many of the methods that `is_meant` picks prove somebody on a request that gets through:
    /// at least, and at most.
    pub(crate) fn proofs(&self, is_meant: impl Fn(&dyn Authenticator) -> bool) -> (usize, usize) {
        self.count(&self.requirement, &is_meant)
    }

    fn count(
        &self,
        requirement: &Requirement,
        is_meant: &dyn Fn(&dyn Authenticator) -> bool,
    ) -> (usize, usize) {
        let (parts, is_any) = match requirement {
            Requirement::Method(index) => {
                let method = self.methods.get(*index);
                let count = usize::from(method.is_some_and(|method| is_meant(&**method)));
                return (count, count);
            }
            Requirement::Any(parts) => (parts, true),
            Requirement::All(parts) => (parts, false),
        };
        let mut seen = BTreeSet::new();
        let counts = parts
            .iter()
            .filter(|part| match part {
                // What stands twice proves once.
                Requirement::Method(index) => seen.insert(*index),
                _ => true,
            })
            .map(|part| self.count(part, is_meant));
        if is_any {
            let both = |(least, most): (usize, usize), (low, high): (usize, usize)| {
                (least.min(low), most.max(high))
            };
            counts.reduce(both).unwrap_or_default()
        } else {
            counts.fold((0, 0), |(least, most), (low, high)| {
                (least + low, most + high)
            })
        }
    }

    /// The state names that can be set together, or one that would be set twice.
    fn names(&self, requirement: &Requirement) -> Result<BTreeSet<&str>, String> {
        let (parts, is_any) = match requirement {
            Requirement::Method(index) => {
                let name = self.methods.get(*index).map(|method| method.state_name());
                return Ok(name.into_iter().collect());
            }
            Requirement::Any(parts) => (parts, true),
            Requirement::All(parts) => (parts, false),
        };
        let mut names = BTreeSet::new();
        let mut seen = BTreeSet::new();
        for part in parts {
            if let Requirement::Method(index) = part
                && !seen.insert(*index)
            {
                continue;
            }
            for name in self.names(part)? {
                if !names.insert(name) && !is_any {
                    return Err(name.to_owned());
                }
            }
        }
        Ok(names)
    }
}
