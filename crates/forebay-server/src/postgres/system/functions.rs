//! The functions that clients call on the catalogue, and those that say who and where one is.
//!
//! Most have one answer whatever they are asked, because Forebay has nothing of the kind: no remark on a table, no
//! definition of an index, no right that is denied.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int32Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use datafusion::sql::sqlparser::keywords::{
    ALL_KEYWORDS, ALL_KEYWORDS_INDEX, Keyword, RESERVED_FOR_COLUMN_ALIAS, RESERVED_FOR_TABLE_ALIAS,
};
use datafusion_pg_catalog::pg_catalog::array_bounds_udf::{create_array_lower_udf, create_array_upper_udf};
use datafusion_pg_catalog::pg_catalog::format_type::create_format_type_udf;
use datafusion_pg_catalog::pg_catalog::quote_ident_udf::create_parse_ident_udf;

use super::{Own, PUBLIC};

/// The version that clients are told: whose catalogue this is.
pub(in crate::postgres) const VERSION: &str = "16.4";

/// Those that answer NULL, as a text.
const NO_TEXT: [&str; 20] = [
    "obj_description",
    "col_description",
    "shobj_description",
    "pg_get_viewdef",
    "pg_get_indexdef",
    "pg_get_constraintdef",
    "pg_get_expr",
    "pg_get_triggerdef",
    "pg_get_ruledef",
    "pg_get_functiondef",
    "pg_get_function_arguments",
    "pg_get_function_result",
    "pg_get_function_identity_arguments",
    "pg_get_function_sqlbody",
    "pg_get_partkeydef",
    "pg_get_serial_sequence",
    "pg_get_statisticsobjdef_columns",
    "pg_tablespace_location",
    "inet_server_addr",
    "inet_client_addr",
];

const TRUE: [&str; 20] = [
    "has_table_privilege",
    "has_schema_privilege",
    "has_database_privilege",
    "has_any_column_privilege",
    "has_column_privilege",
    "has_function_privilege",
    "has_sequence_privilege",
    "has_type_privilege",
    "has_tablespace_privilege",
    "has_language_privilege",
    "pg_has_role",
    "pg_type_is_visible",
    "pg_function_is_visible",
    "pg_operator_is_visible",
    "pg_opclass_is_visible",
    "pg_opfamily_is_visible",
    "pg_collation_is_visible",
    "pg_conversion_is_visible",
    "pg_ts_config_is_visible",
    "pg_ts_dict_is_visible",
];

const FALSE: [&str; 4] =
    ["pg_is_in_recovery", "pg_is_other_temp_schema", "pg_relation_is_publishable", "row_security_active"];

const ZERO: [&str; 9] = [
    "pg_relation_size",
    "pg_total_relation_size",
    "pg_table_size",
    "pg_indexes_size",
    "pg_database_size",
    "pg_tablespace_size",
    "pg_stat_get_numscans",
    "pg_my_temp_schema",
    "txid_current",
];

/// All of them.
pub(super) fn all(own: &Own) -> Vec<Arc<ScalarUDF>> {
    let text = |text: &str| ScalarValue::Utf8(Some(text.to_owned()));
    let mut all: Vec<ScalarUDF> = Vec::new();
    let mut fixed =
        |name: &'static str, value: ScalarValue| all.push(ScalarUDF::from(Fixed::new(name, value)));
    let version = format!("PostgreSQL {VERSION} (Forebay {})", own.shown.version);
    fixed("version", text(&version));
    fixed("current_schema", text(PUBLIC));
    fixed("current_database", text(&own.database));
    for name in ["current_user", "session_user", "user", "pg_get_userbyid", "current_role"] {
        fixed(name, text(&own.user));
    }
    fixed("pg_encoding_to_char", text("UTF8"));
    fixed("pg_client_encoding", text("UTF8"));
    // There are no locks.
    fixed("pg_advisory_unlock_all", text(""));
    fixed("pg_backend_pid", ScalarValue::Int32(Some(1)));
    let started = Some(own.shown.started_ms.saturating_mul(1_000));
    for name in ["pg_postmaster_start_time", "pg_conf_load_time"] {
        fixed(name, ScalarValue::TimestampMicrosecond(started, Some("UTC".into())));
    }
    NO_TEXT.into_iter().for_each(|name| fixed(name, ScalarValue::Utf8(None)));
    TRUE.into_iter().for_each(|name| fixed(name, ScalarValue::Boolean(Some(true))));
    FALSE.into_iter().for_each(|name| fixed(name, ScalarValue::Boolean(Some(false))));
    ZERO.into_iter().for_each(|name| fixed(name, ScalarValue::Int64(Some(0))));
    // Of sizes, which are all 0.
    fixed("pg_size_pretty", text("0 bytes"));
    let schemas = ["public", "pg_catalog", "information_schema"].map(text);
    all.push(ScalarUDF::from(Asked::new(Kind::Schemas(schemas.into()))));
    all.push(ScalarUDF::from(Asked::new(Kind::Setting(own.settings.clone()))));
    all.push(ScalarUDF::from(Asked::new(Kind::SetConfig)));
    all.push(ScalarUDF::from(Asked::new(Kind::ToRegtype)));
    all.push(ScalarUDF::from(Asked::new(Kind::QuoteIdent)));
    let numbers = |public: bool| {
        let chosen = own.relations.iter().filter(move |it| !public || it.schema == PUBLIC);
        chosen.filter_map(|it| Some((own.oids.of(&it.schema, &it.name)?, it))).collect::<Vec<_>>()
    };
    let hidden = numbers(false).into_iter().filter(|(_, it)| it.schema != PUBLIC);
    all.push(ScalarUDF::from(Asked::new(Kind::Visible(hidden.map(|(oid, _)| oid.into()).collect()))));
    let mut names: Vec<(String, i32)> = Vec::new();
    for (oid, it) in numbers(false) {
        names.push((format!("{}.{}", it.schema, it.name), oid));
        if it.schema == PUBLIC {
            names.push((it.name.clone(), oid));
        }
    }
    all.push(ScalarUDF::from(Asked::new(Kind::ToRegclass(names))));
    all.extend([
        create_format_type_udf(),
        create_array_upper_udf(),
        create_array_lower_udf(),
        create_parse_ident_udf(),
    ]);
    all.into_iter().map(Arc::new).collect()
}

fn any(volatility: Volatility) -> Signature {
    Signature::one_of(vec![TypeSignature::Nullary, TypeSignature::VariadicAny], volatility)
}

/// A function with one answer.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Fixed {
    name: &'static str,
    value: ScalarValue,
    signature: Signature,
}

impl Fixed {
    fn new(name: &'static str, value: ScalarValue) -> Self {
        Self { name, value, signature: any(Volatility::Stable) }
    }
}

impl ScalarUDFImpl for Fixed {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.value.data_type())
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(ColumnarValue::Scalar(self.value.clone()))
    }
}

/// A function that looks at what it is asked.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Asked {
    kind: Kind,
    signature: Signature,
}

#[derive(Debug, PartialEq, Eq, Hash)]
enum Kind {
    /// `current_schemas(with the implicit ones)`.
    Schemas(Vec<ScalarValue>),
    /// `current_setting(name [, may be missing])`.
    Setting(Vec<(String, String)>),
    /// `set_config(name, value, local)`: the value; nothing is set, as every session has its settings by `SET`.
    SetConfig,
    /// `pg_table_is_visible(oid)`: all but these.
    Visible(Vec<i64>),
    /// `to_regclass(name)`.
    ToRegclass(Vec<(String, i32)>),
    /// `to_regtype(name)`.
    ToRegtype,
    /// `quote_ident(name)`.
    QuoteIdent,
}

impl Asked {
    fn new(kind: Kind) -> Self {
        Self { kind, signature: any(Volatility::Stable) }
    }
}

impl ScalarUDFImpl for Asked {
    fn name(&self) -> &str {
        match self.kind {
            Kind::Schemas(_) => "current_schemas",
            Kind::Setting(_) => "current_setting",
            Kind::SetConfig => "set_config",
            Kind::Visible(_) => "pg_table_is_visible",
            Kind::ToRegclass(_) => "to_regclass",
            Kind::ToRegtype => "to_regtype",
            Kind::QuoteIdent => "quote_ident",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(match self.kind {
            Kind::Schemas(_) => DataType::new_list(DataType::Utf8, true),
            Kind::Setting(_) | Kind::SetConfig | Kind::QuoteIdent => DataType::Utf8,
            Kind::Visible(_) => DataType::Boolean,
            Kind::ToRegclass(_) | Kind::ToRegtype => DataType::Int32,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let argument = |at: usize, data_type: &DataType| -> Result<ArrayRef> {
            match args.args.get(at) {
                Some(value) => Ok(cast(&value.to_array(args.number_rows)?, data_type)?),
                None => exec_err!("{} takes another argument", self.name()),
            }
        };
        Ok(ColumnarValue::Array(match &self.kind {
            Kind::Schemas(all) => {
                let implicit = argument(0, &DataType::Boolean)?;
                let has_all = !implicit.is_empty() && implicit.as_boolean().value(0);
                let shown = if has_all { all.as_slice() } else { all.get(..1).unwrap_or_default() };
                let list = ScalarValue::new_list_nullable(shown, &DataType::Utf8);
                return Ok(ColumnarValue::Scalar(ScalarValue::List(list)));
            }
            Kind::Setting(settings) => {
                let names = argument(0, &DataType::Utf8)?;
                let value = |name: Option<&str>| {
                    let found = settings
                        .iter()
                        .find(|(own, _)| name.is_some_and(|name| own.eq_ignore_ascii_case(name)));
                    found.map(|(_, value)| value.clone())
                };
                Arc::new(names.as_string::<i32>().iter().map(value).collect::<StringArray>())
            }
            Kind::SetConfig => argument(1, &DataType::Utf8)?,
            Kind::QuoteIdent => {
                let names = argument(0, &DataType::Utf8)?;
                let quoted = |name: Option<&str>| name.map(quoted);
                Arc::new(names.as_string::<i32>().iter().map(quoted).collect::<StringArray>())
            }
            Kind::Visible(hidden) => {
                let oids = argument(0, &DataType::Int64)?;
                let is_visible = |oid: Option<i64>| oid.map(|oid| !hidden.contains(&oid));
                Arc::new(oids.as_primitive::<Int64Type>().iter().map(is_visible).collect::<BooleanArray>())
            }
            Kind::ToRegtype => {
                let asked = argument(0, &DataType::Utf8)?;
                let oid = |name: Option<&str>| super::rules::type_oid(&name?.to_lowercase());
                Arc::new(asked.as_string::<i32>().iter().map(oid).collect::<Int32Array>())
            }
            Kind::ToRegclass(names) => {
                let asked = argument(0, &DataType::Utf8)?;
                let oid = |name: Option<&str>| {
                    let name = name?.replace('"', "");
                    names.iter().find(|(own, _)| own.eq_ignore_ascii_case(&name)).map(|(_, oid)| *oid)
                };
                Arc::new(asked.as_string::<i32>().iter().map(oid).collect::<Int32Array>())
            }
        }))
    }
}

/// A name as it can stand in a statement: in quotes, if it is not a plain word in lower case.
fn quoted(name: &str) -> String {
    let is_letter = |letter: u8| letter.is_ascii_lowercase() || letter == b'_';
    let is_plain = name.bytes().all(|letter| is_letter(letter) || letter.is_ascii_digit())
        && name.bytes().next().is_some_and(is_letter);
    if is_plain && !is_reserved(name) {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}

fn is_reserved(word: &str) -> bool {
    let keywords = ALL_KEYWORDS.binary_search(&word.to_uppercase().as_str());
    let keyword = keywords.ok().and_then(|at| ALL_KEYWORDS_INDEX.get(at)).copied();
    keyword.is_some_and(|keyword| {
        RESERVED_FOR_COLUMN_ALIAS.contains(&keyword)
            || RESERVED_FOR_TABLE_ALIAS.contains(&keyword)
            || MORE_RESERVED.contains(&keyword)
    })
}

/// What PostgreSQL reserves beside what cannot be an alias.
const MORE_RESERVED: [Keyword; 32] = [
    Keyword::ALL,
    Keyword::AND,
    Keyword::ANY,
    Keyword::ARRAY,
    Keyword::AS,
    Keyword::ASC,
    Keyword::BETWEEN,
    Keyword::BOTH,
    Keyword::CASE,
    Keyword::CAST,
    Keyword::CHECK,
    Keyword::COLUMN,
    Keyword::CONSTRAINT,
    Keyword::CREATE,
    Keyword::DEFAULT,
    Keyword::DESC,
    Keyword::DISTINCT,
    Keyword::DO,
    Keyword::ELSE,
    Keyword::END,
    Keyword::FALSE,
    Keyword::IN,
    Keyword::INTERVAL,
    Keyword::NOT,
    Keyword::NULL,
    Keyword::OR,
    Keyword::SELECT,
    Keyword::TABLE,
    Keyword::THEN,
    Keyword::TRUE,
    Keyword::USER,
    Keyword::WHEN,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_quoted_where_it_must_be() {
        for (name, expected) in [
            ("device_id", "device_id"),
            ("customerId", "\"customerId\""),
            ("1st", "\"1st\""),
            ("", "\"\""),
            ("a\"b", "\"a\"\"b\""),
            ("select", "\"select\""),
            ("order", "\"order\""),
            ("user", "\"user\""),
            ("status", "status"),
        ] {
            assert_eq!(quoted(name), expected);
        }
    }
}
