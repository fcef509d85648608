//! Reads the description of one endpoint into the plan of its calls.

use std::sync::Arc;

use apifrom::extract::convert::ScalarKind;
use apifrom::extract::{Parameter, Source};
use apifrom::{ConfigErrors, Protection};
use http::HeaderName;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::constraints;
use crate::dispatch::Route;
use crate::fields::Fields;
use crate::handler::{Argument, BodyNeed, Plan, PythonHandler};
use crate::policy::PythonPolicy;
use crate::reply::ReturnPlan;
use crate::request::Facts;
use crate::security::Protections;
use crate::surround::Surround;
use crate::upload::FileParameter;
use crate::validation::Validator;

/// An endpoint as Python described it.
pub(crate) struct Described {
    name: String,
    route: String,
    methods: Vec<String>,
    function: Py<PyAny>,
    is_async: bool,
    sees_async: bool,
    blocking: Option<bool>,
    pub(crate) max_body_size: Option<u64>,
    parameters: Vec<Parameter>,
    files: Vec<FileParameter>,
    arguments: Vec<Argument>,
    keywords: Vec<String>,
    body: BodyNeed,
    returns: ReturnPlan,
    guarded: Guarded,
    surround: Surround,
    source: Option<(String, u32)>,
    gate: Option<Gate>,
}

/// The policies of an endpoint, which are called like a function of its own.
struct Gate {
    described: Box<Described>,
    hides: Vec<bool>,
}

/// Who may call an endpoint, as it was declared.
#[derive(Default)]
pub(crate) struct Guarded {
    pub(crate) protections: Vec<Protection>,
    /// What the routers around it ask for, the outermost first.
    pub(crate) inherited: Vec<Protection>,
    pub(crate) scopes: Vec<String>,
    pub(crate) public: Option<String>,
}

impl Described {
    /// Reads `given`; `None` when something in it is wrong, which is noted.
    ///
    /// # Errors
    /// Python's own.
    pub(crate) fn read(
        given: &Bound<'_, PyDict>,
        protections: &mut Protections,
        errors: &mut ConfigErrors,
    ) -> PyResult<Option<Self>> {
        let py = given.py();
        let mut name = String::new();
        if let Some(value) = given.get_item("name")? {
            name = value.extract()?;
        }
        let before = errors.iter().count();
        let mut fields = Fields::new(given, format!("routes.{name}"), errors)?;
        fields.text("name", &mut name);
        let mut route = String::new();
        fields.text("route", &mut route);
        let mut methods = Vec::new();
        fields.texts("methods", &mut methods);
        let mut is_async = false;
        fields.flag("is_async", &mut is_async);
        // An async generator is called like a `def` and waits like an `async def`.
        let mut sees_async = false;
        fields.flag("sees_async", &mut sees_async);
        let mut blocking = None;
        if fields.some_is_next("blocking") {
            let mut decided = false;
            fields.flag("blocking", &mut decided);
            blocking = Some(decided);
            if is_async {
                fields.note(
                    "blocking",
                    "is for a def; an async def always runs on the loop",
                );
            }
        } else {
            fields.take("blocking");
        }
        let max_body_size = read_size(&mut fields);
        let function = fields.take("call").map_or_else(|| py.None(), Bound::unbind);
        let annotation = fields.take("returns");
        let listed = fields.take("parameters");
        let mut guarded = Guarded {
            public: fields.optional_text("public"),
            ..Guarded::default()
        };
        fields.texts("scopes", &mut guarded.scopes);
        let (gate, source) = (fields.some("gate"), fields.take("source"));
        let own = fields.take("protections");
        let inherited = fields.take("inherited");
        let around = ["surround", "inherited_limits", "limits"].map(|name| fields.some(name));
        fields.finish(|_| None);
        let path = format!("routes.{name}");
        if let Some(own) = own {
            guarded.protections = protections.read(&own, &path, errors)?;
        }
        if let Some(inherited) = inherited {
            guarded.inherited = protections.read(&inherited, &path, errors)?;
        }
        let surround = Surround::read_all(around, &path, errors)?;
        let gate = match gate {
            Some(gate) => Gate::read(&gate.cast_into::<PyDict>()?, protections, errors)?,
            None => None,
        };
        if errors.iter().count() > before {
            return Ok(None);
        }

        let returns = match ReturnPlan::new(py, annotation.as_ref(), &name) {
            Ok(returns) => returns,
            Err(error) => {
                errors.note(format!("routes.{name}"), error.value(py).to_string());
                return Ok(None);
            }
        };
        let mut described = Self {
            name,
            route,
            methods,
            function,
            is_async,
            sees_async,
            blocking,
            max_body_size,
            parameters: Vec::new(),
            files: Vec::new(),
            arguments: Vec::new(),
            keywords: Vec::new(),
            body: BodyNeed::None,
            returns,
            guarded,
            surround,
            source: source.and_then(|source| source.extract().ok()),
            gate,
        };
        if let Some(listed) = listed
            && let Err(error) = described.add_all(&listed)
        {
            errors.note(path, error.value(py).to_string());
            return Ok(None);
        }
        Ok(Some(described))
    }

    /// Name, route and methods.
    pub(crate) fn place(&self) -> (String, String, Vec<String>) {
        (self.name.clone(), self.route.clone(), self.methods.clone())
    }

    /// Where its function is called.
    pub(crate) fn mode(&self) -> &'static str {
        match (self.is_async, self.blocking) {
            (true, _) => "task",
            (false, Some(true)) => "pool",
            (false, Some(false)) => "inline",
            (false, None) => "pool, inline once short",
        }
    }

    /// Who may call it.
    pub(crate) fn take_guarded(&mut self) -> Guarded {
        std::mem::take(&mut self.guarded)
    }

    /// What surrounds its calls.
    pub(crate) fn take_surround(&mut self) -> Surround {
        std::mem::take(&mut self.surround)
    }

    /// The file and the line of its function.
    pub(crate) fn take_source(&mut self) -> Option<(String, u32)> {
        self.source.take()
    }

    /// Its policies, if it has any.
    pub(crate) fn take_policy(
        &mut self,
        py: Python<'_>,
        depth: usize,
        facts: &Arc<Facts>,
    ) -> Option<PythonPolicy> {
        let Gate { described, hides } = self.gate.take()?;
        let PythonHandler { plan, route } = described.handler(py, depth, Arc::clone(facts));
        Some(PythonPolicy {
            plan,
            route,
            hides: hides.into(),
        })
    }

    /// What its requests have in common.
    pub(crate) fn facts(&self, py: Python<'_>, depth: usize, root_path: &Arc<str>) -> Arc<Facts> {
        Facts::new(py, captures(&self.route), root_path, depth)
    }

    /// The handler that calls the function.
    pub(crate) fn handler(self, py: Python<'_>, depth: usize, facts: Arc<Facts>) -> PythonHandler {
        let route = if self.is_async {
            Route::coroutine(py, &self.name)
        } else {
            Route::function(py, &self.name, self.blocking)
        };
        PythonHandler {
            route: Arc::new(route),
            plan: Arc::new(Plan {
                function: self.function,
                parameters: self.parameters,
                files: self.files,
                arguments: self.arguments,
                keywords: self.keywords,
                body: self.body,
                returns: self.returns,
                sees_async: self.sees_async,
                max_json_depth: depth,
                facts,
            }),
        }
    }

    fn add_all(&mut self, listed: &Bound<'_, PyAny>) -> PyResult<()> {
        let mut listed: Vec<_> = listed.cast::<PyList>()?.iter().collect();
        // A stable sort: what is passed by keyword stands last.
        listed.sort_by_key(|parameter| is_keyword(parameter));
        for parameter in listed {
            self.add(&parameter.cast_into::<PyDict>()?)?;
        }
        Ok(())
    }

    fn add_file(
        &mut self,
        given: &Bound<'_, PyDict>,
        required: bool,
        default: Option<Py<PyAny>>,
    ) -> PyResult<()> {
        let file = FileParameter::read(given, self.sees_async, required, default)?;
        if self.files.iter().any(|known| known.wire == file.wire) {
            return Err(PyValueError::new_err(format!(
                "two parameters take the file {:?}; let one function take it and the other depend on that",
                file.wire
            )));
        }
        self.files.push(file);
        Ok(())
    }

    fn add(&mut self, given: &Bound<'_, PyDict>) -> PyResult<()> {
        let text = |name: &str| -> PyResult<String> {
            given
                .get_item(name)?
                .map_or_else(|| Ok(String::new()), |value| value.extract())
        };
        let flag = |name: &str| -> PyResult<bool> {
            given
                .get_item(name)?
                .map_or(Ok(false), |value| value.extract())
        };
        let some = |name: &str| -> PyResult<Option<Bound<'_, PyAny>>> {
            Ok(given.get_item(name)?.filter(|value| !value.is_none()))
        };
        let required = flag("required")?;
        let default = given
            .get_item("default")?
            .filter(|_| !required)
            .map(Bound::unbind);
        let validator = match some("validator")? {
            Some(validator) => Some(Validator::new(&validator, flag("strict")?)?),
            None => None,
        };
        if flag("keyword")? {
            self.keywords.push(text("name")?);
        }
        let source = match text("source")?.as_str() {
            "loaded" => {
                self.arguments.push(Argument::Loaded);
                return Ok(());
            }
            "request" => {
                if self.body == BodyNeed::None && !self.sees_async {
                    self.body = BodyNeed::Whole;
                }
                self.arguments.push(Argument::Request);
                return Ok(());
            }
            "body" => {
                self.body = BodyNeed::Json { required };
                if let Some(validator) = validator {
                    self.arguments.push(Argument::Model { validator, default });
                }
                return Ok(());
            }
            "path" => Source::Path,
            "header" => Source::Header,
            "cookie" => Source::Cookie,
            "form" => {
                let files = matches!(self.body, BodyNeed::Form { files: true });
                self.body = BodyNeed::Form { files };
                Source::Form
            }
            "file" => {
                self.body = BodyNeed::Form { files: true };
                self.arguments.push(Argument::File {
                    index: self.files.len(),
                });
                return self.add_file(given, required, default);
            }
            "query" => Source::Query,
            other => {
                return Err(PyValueError::new_err(format!(
                    "the parameter {:?} has the source {other:?}, which is none",
                    text("name")?
                )));
            }
        };
        let kind = match text("kind").unwrap_or_default().as_str() {
            "int" => ScalarKind::Int,
            "float" => ScalarKind::Float,
            "bool" => ScalarKind::Bool,
            _ => ScalarKind::Str,
        };
        let wire = text("wire")?;
        if matches!(source, Source::Header | Source::Cookie) {
            check_token(&text("name")?, &wire, source)?;
        }
        let capture = captures(&self.route)
            .position(|name| name == wire)
            .unwrap_or_default();
        self.arguments.push(Argument::Parameter {
            index: self.parameters.len(),
            default,
            validator,
        });
        self.parameters.push(Parameter {
            wire,
            source,
            capture,
            kind,
            many: flag("many")?,
            required,
            constraints: constraints::read(given)?,
        });
        Ok(())
    }
}

impl Gate {
    fn read(
        given: &Bound<'_, PyDict>,
        protections: &mut Protections,
        errors: &mut ConfigErrors,
    ) -> PyResult<Option<Self>> {
        let given = given.copy()?;
        let hides = given.get_item("hides")?;
        given.del_item("hides")?;
        let described = Described::read(&given, protections, errors)?;
        let hides = hides.map(|hides| hides.extract()).transpose()?;
        Ok(described.map(|described| Self {
            described: Box::new(described),
            hides: hides.unwrap_or_default(),
        }))
    }
}

fn read_size(fields: &mut Fields<'_, '_>) -> Option<u64> {
    if !fields.some_is_next("max_body_size") {
        fields.take("max_body_size");
        return None;
    }
    let mut bytes = 0;
    fields.number("max_body_size", &mut bytes);
    Some(bytes)
}

fn is_keyword(parameter: &Bound<'_, PyAny>) -> bool {
    parameter
        .get_item("keyword")
        .and_then(|value| value.extract())
        .unwrap_or(false)
}

/// RFC 9110 §5.1 and RFC 6265 §4.1.1: the names of headers and of cookies are tokens. Nothing that
/// is sent has any other.
fn check_token(name: &str, wire: &str, source: Source) -> PyResult<()> {
    if HeaderName::from_bytes(wire.as_bytes()).is_ok() {
        return Ok(());
    }
    Err(PyValueError::new_err(format!(
        "the parameter {name:?} asks for the {} {wire:?}, which cannot be sent; a name is made of \
         ASCII letters, digits and !#$%&'*+-.^_`|~",
        source.location().as_str()
    )))
}

/// The names of a route's captures, as the engine counts them.
fn captures(route: &str) -> impl Iterator<Item = &str> {
    route.split('/').filter_map(|segment| {
        let inner = segment.strip_prefix('{')?.strip_suffix('}')?;
        Some(inner.strip_prefix('*').unwrap_or(inner))
    })
}
