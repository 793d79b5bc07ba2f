//! What an attribute is: its type with bounds, who may set it and when, its default.

use serde_json::Value as Json;

/// What a caller may do with an attribute in POST.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Post {
    /// It is made by the server; giving it is an error.
    Forbidden,
    /// It must be given.
    Required,
    /// It may be given; otherwise it is this.
    Default(Preset),
}

/// A default value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Preset {
    /// No value.
    Null,
    /// A truth.
    Bool(bool),
    /// A number.
    Int(i64),
    /// A text.
    Text(&'static str),
    /// An empty list.
    Empty,
    /// Every field of a nested object at its own default.
    Fields,
}

/// A key of a nested object.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// Another spelling that some client sends.
    pub alias: Option<&'static str>,
    /// [`Type::Int`] or [`Type::Enum`].
    pub ty: Type,
    /// What it is when not given.
    pub default: Preset,
}

/// Turns the JSON that a caller sent for a structured attribute into the form in which it is
/// stored, or says what is wrong with it.
pub type Converter = fn(&Json) -> Result<Json, String>;

/// The type of an attribute, with its bounds.
#[derive(Clone, Copy, Debug)]
pub enum Type {
    /// A UUID.
    Uuid,
    /// One line of printable text without white space at its ends, of at most so many characters.
    Name(usize),
    /// Text of at most so many characters.
    Text(usize),
    /// One line of printable text of at most so many characters, as goes into a protocol field.
    Line(usize),
    /// A secret of so many characters at least and at most.
    Secret(usize, usize),
    /// One of these words.
    Enum(&'static [&'static str]),
    /// True or false, in any of the spellings that Neutron takes.
    Bool,
    /// A whole number within these bounds, as number or as text.
    Int(i64, i64),
    /// An IP address.
    Address,
    /// An address with its prefix length; the host bits are cleared.
    Cidr,
    /// A MAC address.
    Mac,
    /// A list of CIDRs in the order given, each once; one bare CIDR will do.
    Cidrs,
    /// A list of texts in the order given; one bare text will do.
    Texts,
    /// A list of anything; what may be in it depends on another attribute.
    Anything,
    /// An object with these keys, all optional.
    Object(&'static [Field]),
    /// A structure with a converter of its own, and the JSON schema that describes it.
    Custom(Converter, &'static str),
    /// Structured, and made by the server only.
    Derived,
    /// A time in microseconds since 1970 UTC, shown in RFC 3339 form. Made by the server only.
    Time,
}

impl Type {
    /// Whether one value of this type is kept in one column that can be compared.
    #[must_use]
    pub const fn is_scalar(self) -> bool {
        !matches!(
            self,
            Self::Secret(..)
                | Self::Cidrs
                | Self::Texts
                | Self::Anything
                | Self::Object(_)
                | Self::Custom(..)
                | Self::Derived
        )
    }
}

/// One attribute of a resource.
#[derive(Clone, Copy, Debug)]
pub struct Attribute {
    /// Its name on the wire.
    pub name: &'static str,
    /// Another name under which some client sends it.
    pub alias: Option<&'static str>,
    /// Its column in the resource's table.
    pub column: &'static str,
    /// Its type.
    pub ty: Type,
    /// What POST may do.
    pub post: Post,
    /// Whether PUT may set it.
    pub put: bool,
    /// Whether null is a value.
    pub nullable: bool,
    /// Whether setting it asks for the policy rule `<action>_<member>:<name>`.
    pub guarded: bool,
    /// Whether only those whom `get_<member>:<name>` allows get to see it.
    pub veiled: bool,
    /// Whether the answer to a write shows numbers as the caller sent them, text or number.
    /// Tempest's policy tests send a text and compare.
    pub echo: bool,
    /// One sentence for the API document.
    pub doc: &'static str,
}

impl Attribute {
    /// An attribute that the server makes and nobody sets.
    #[must_use]
    pub const fn new(name: &'static str, ty: Type, doc: &'static str) -> Self {
        Self {
            name,
            alias: None,
            column: name,
            ty,
            post: Post::Forbidden,
            put: false,
            nullable: false,
            guarded: false,
            veiled: false,
            echo: false,
            doc,
        }
    }

    /// Must be given in POST.
    #[must_use]
    pub const fn required(mut self) -> Self {
        self.post = Post::Required;
        self
    }

    /// May be given in POST; otherwise it is `preset`.
    #[must_use]
    pub const fn default(mut self, preset: Preset) -> Self {
        self.post = Post::Default(preset);
        if matches!(preset, Preset::Null) {
            self.nullable = true;
        }
        self
    }

    /// May be set by PUT.
    #[must_use]
    pub const fn put(mut self) -> Self {
        self.put = true;
        self
    }

    /// May be null.
    #[must_use]
    pub const fn nullable(mut self) -> Self {
        self.nullable = true;
        self
    }

    /// Is stored in a column of another name.
    #[must_use]
    pub const fn column(mut self, column: &'static str) -> Self {
        self.column = column;
        self
    }

    /// Is also known by another name.
    #[must_use]
    pub const fn alias(mut self, alias: &'static str) -> Self {
        self.alias = Some(alias);
        self
    }

    /// Only some callers may set it: see [`Attribute::guarded`].
    #[must_use]
    pub const fn guarded(mut self) -> Self {
        self.guarded = true;
        self
    }

    /// Only some callers may see it: see [`Attribute::veiled`].
    #[must_use]
    pub const fn veiled(mut self) -> Self {
        self.veiled = true;
        self
    }

    /// Is echoed: see [`Attribute::echo`].
    #[must_use]
    pub const fn echo(mut self) -> Self {
        self.echo = true;
        self
    }

    /// Whether the attribute goes by this name.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        self.name == name || self.alias == Some(name)
    }

    /// Whether lists can be filtered by it.
    #[must_use]
    pub const fn is_filter(&self) -> bool {
        (self.ty.is_scalar() && !matches!(self.ty, Type::Time)) || matches!(self.ty, Type::Secret(..))
    }

    /// Whether lists can be sorted by it.
    #[must_use]
    pub const fn is_sortable(&self) -> bool {
        self.ty.is_scalar()
    }
}
