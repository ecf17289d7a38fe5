//! Names of types as PostgreSQL means them, before those of the end point: times are in microseconds, and a FLOAT is a
//! double.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion::common::Result;
use datafusion::logical_expr::planner::TypePlanner;
use datafusion::sql::sqlparser::ast::{self, ExactNumberInfo, TimezoneInfo};

use super::casts;

/// The end point's own types, behind these.
#[derive(Debug)]
pub(super) struct Types(pub Arc<dyn TypePlanner>);

impl TypePlanner for Types {
    fn plan_type_field(&self, sql_type: &ast::DataType) -> Result<Option<FieldRef>> {
        let data_type = match sql_type {
            ast::DataType::Timestamp(
                None | Some(0..=6),
                TimezoneInfo::None | TimezoneInfo::WithoutTimeZone,
            ) => casts::clocks(),
            ast::DataType::Timestamp(None | Some(0..=6), _) => casts::instant(),
            ast::DataType::Time(None | Some(0..=6), TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
                DataType::Time64(TimeUnit::Microsecond)
            }
            ast::DataType::Float(ExactNumberInfo::Precision(1..=24)) => DataType::Float32,
            ast::DataType::Float(_) => DataType::Float64,
            _ => return self.0.plan_type_field(sql_type),
        };
        Ok(Some(Arc::new(Field::new("", data_type, true))))
    }
}
