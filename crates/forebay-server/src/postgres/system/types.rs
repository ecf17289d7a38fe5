//! Names of types that PostgreSQL has and DataFusion does not.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::common::Result;
use datafusion::logical_expr::planner::TypePlanner;
use datafusion::sql::sqlparser::ast;
use datafusion_pg_catalog::pg_catalog::oid_type_planner::PgOidTypePlanner;

/// Those of `datafusion-pg-catalog`, and texts by other names.
#[derive(Debug)]
pub(super) struct Types;

impl TypePlanner for Types {
    fn plan_type_field(&self, sql_type: &ast::DataType) -> Result<Option<Arc<Field>>> {
        if let Some(field) = PgOidTypePlanner.plan_type_field(sql_type)? {
            return Ok(Some(field));
        }
        let is_text = match sql_type {
            ast::DataType::Custom(name, _) => {
                let last = name.0.last().and_then(|part| part.as_ident());
                let last = last.map(|name| name.value.to_lowercase()).unwrap_or_default();
                matches!(
                    last.as_str(),
                    "name" | "char" | "bpchar" | "citext" | "text" | "varchar" | "xid" | "inet"
                )
            }
            ast::DataType::JSON | ast::DataType::JSONB | ast::DataType::Uuid => true,
            _ => false,
        };
        Ok(is_text.then(|| Arc::new(Field::new("", DataType::Utf8, true))))
    }
}
