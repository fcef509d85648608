//! The attributes that say who may call: what they are, where they stand, and what they become.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, ItemFn, Meta, Path};

use crate::attributes::{Role, imports, role};
use crate::declaration::{Access, Declaration};
use crate::mistakes::Mistakes;

/// One attribute that says who may call, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Jwt,
    ApiKey,
    Basic,
    OAuth2,
    Several,
    Protect,
    Public,
}

impl Kind {
    /// All of them, in the order in which mistakes list them.
    pub(crate) const ALL: [Self; 7] = [
        Self::Jwt,
        Self::ApiKey,
        Self::Basic,
        Self::OAuth2,
        Self::Several,
        Self::Protect,
        Self::Public,
    ];

    /// What it is called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Jwt => "jwt_required",
            Self::ApiKey => "api_key_required",
            Self::Basic => "basic_auth_required",
            Self::OAuth2 => "oauth2_required",
            Self::Several => "multi_auth_required",
            Self::Protect => "protect",
            Self::Public => "public",
        }
    }

    /// What it is written like. Stands at the end of each mistake about it.
    pub(crate) fn form(self) -> &'static str {
        match self {
            Self::Jwt => {
                "expected `#[jwt_required(secret = secret(\"JWT_SECRET\"), algorithm = \"HS256\")]`, \
                 or a `JwtRequired` and what is added to it: `#[jwt_required(tokens(), roles = \
                 [\"admin\"])]`"
            }
            Self::ApiKey => {
                "expected `#[api_key_required(api_keys = API_KEYS, scopes = [\"read\"])]`, or an \
                 `ApiKeyRequired` and what is added to it: `#[api_key_required(keys(), scopes = \
                 [\"read\"])]`"
            }
            Self::Basic => {
                "expected `#[basic_auth_required(credentials = CREDENTIALS, realm = \"My API\")]`, \
                 or a `BasicAuthRequired`: `#[basic_auth_required(users())]`"
            }
            Self::OAuth2 => {
                "expected `#[oauth2_required(config = oauth2(), scopes = [\"read\"])]`, where \
                 `config` is an `OAuth2Required`"
            }
            Self::Several => {
                "expected `#[multi_auth_required(auth_methods = [jwt_required(…), \
                 api_key_required(…)], require_all = false)]`"
            }
            Self::Protect => "expected `#[protect(expression)]` with a `Protection` or a method",
            Self::Public => "expected `#[public(reason = \"for the load balancer\")]`",
        }
    }

    /// The type that its options are set on.
    pub(crate) fn builder(self) -> TokenStream {
        match self {
            Self::Jwt => quote!(__api::JwtRequired),
            Self::ApiKey => quote!(__api::ApiKeyRequired),
            Self::Basic => quote!(__api::BasicAuthRequired),
            Self::OAuth2 => quote!(__api::OAuth2Required),
            Self::Several | Self::Protect | Self::Public => quote!(__api::Protection),
        }
    }

    /// The attribute that `path` names, be it alone, behind `apifrom` or behind its `security`.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let last = path.segments.last()?;
        let mut before = path.segments.iter().rev().skip(1);
        if !before.all(|segment| segment.ident == "security" || segment.ident == "apifrom") {
            return None;
        }
        Self::ALL.into_iter().find(|kind| last.ident == kind.name())
    }
}

/// The protections of one function.
#[derive(Default)]
pub(crate) struct Protections {
    accesses: Vec<Access>,
    /// As they are written, so that what is imported for them is used.
    paths: Vec<Path>,
    /// The ones that say nothing about whom they let in, and where they stand.
    public: Option<Attribute>,
    /// The first one that is not `#[public]`.
    protected: Option<Kind>,
    /// Under which names handlers find what is proved, as far as can be told.
    names: Vec<(Kind, Option<String>)>,
}

impl Protections {
    /// Takes the attributes that say who may call off `function`.
    pub(crate) fn take(function: &mut ItemFn, mistakes: &mut Mistakes) -> Self {
        let mut taken = Self::default();
        function.attrs.retain(|attribute| match role(attribute) {
            Role::Protection(kind) => {
                taken.add(kind, attribute, mistakes);
                false
            }
            _ => true,
        });
        if let (Some(public), Some(other)) = (&taken.public, taken.protected) {
            mistakes.at(
                public,
                format!(
                    "`#[public]` lets everybody in, and `#[{}]` on the same function does not: \
                     remove one of them",
                    other.name()
                ),
            );
        }
        taken
    }

    fn add(&mut self, kind: Kind, attribute: &Attribute, mistakes: &mut Mistakes) {
        self.paths.push(attribute.path().clone());
        if kind != Kind::Public {
            self.protected.get_or_insert(kind);
        } else if self.public.replace(attribute.clone()).is_some() {
            return mistakes.at(attribute, "`#[public]` stands twice");
        }
        let options = match &attribute.meta {
            Meta::List(list) => list.tokens.clone(),
            _ => TokenStream::new(),
        };
        let Some(declaration) = Declaration::parse(kind, options, attribute, mistakes) else {
            return;
        };
        if let Some(name) = declaration.fixed_name() {
            let name = (kind, name);
            if self.names.contains(&name) {
                mistakes.at(
                    attribute,
                    format!(
                        "`#[{0}]` stands twice: both would have to pass, and a handler finds them \
                         under one name; give one of them a `name = \"…\"`, or let one of them \
                         suffice: `#[multi_auth_required(auth_methods = [{0}(…), {0}(…)])]`",
                        kind.name()
                    ),
                );
            }
            self.names.push(name);
        }
        self.accesses.push(declaration.access());
    }

    /// The calls that declare them on an `EndpointSpec`.
    pub(crate) fn calls(&self) -> TokenStream {
        self.accesses.iter().map(Access::call).collect()
    }

    /// Uses the names that the attributes were written with.
    pub(crate) fn imports(&self) -> TokenStream {
        imports(&self.paths)
    }
}
