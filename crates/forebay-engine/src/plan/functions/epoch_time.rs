//! `now()` and its family: the time at which the epoch was planned, the same in every row and at every replay.
//!
//! In a stream the functions are placeholders: the plan is made once, and each epoch puts its own time in their
//! place before it reads a row ([`crate::plan::Executor`]). A query over tables knows its time when it is planned.

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use forebay_core::{Zone, ddl};

use super::zone::names;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Timestamp,
    LocalTimestamp,
    Date,
}

/// One of the functions.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct EpochTime {
    name: String,
    aliases: Vec<String>,
    kind: Kind,
    zone: Zone,
    now_ms: Option<i64>,
    signature: Signature,
}

/// All of them; with `now_ms` they are constants.
pub(super) fn all(now_ms: Option<i64>, zone: Zone) -> [ScalarUDF; 3] {
    let function = |name, others: &[&str], kind| {
        // Volatile keeps the optimizer from computing the placeholder while it plans.
        let volatility = if now_ms.is_some() { Volatility::Stable } else { Volatility::Volatile };
        // An instant has no zone.
        let zone = if kind == Kind::Timestamp { Zone::UTC } else { zone };
        let (name, mut aliases) = names(name, zone);
        aliases.extend(others.iter().map(|&alias| alias.to_owned()));
        ScalarUDF::from(EpochTime {
            name,
            aliases,
            kind,
            zone,
            now_ms,
            signature: Signature::nullary(volatility),
        })
    };
    [
        function("current_timestamp", &["now"], Kind::Timestamp),
        function("localtimestamp", &[], Kind::LocalTimestamp),
        function("current_date", &["curdate", "today"], Kind::Date),
    ]
}

impl EpochTime {
    /// The function's value in an epoch that was planned at this time.
    pub fn at(&self, epoch_time_ms: i64) -> ScalarValue {
        let micros = epoch_time_ms.saturating_mul(1_000);
        match self.kind {
            Kind::Timestamp => ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into())),
            Kind::LocalTimestamp => ScalarValue::TimestampMicrosecond(Some(self.zone.local(micros)), None),
            Kind::Date => {
                let days = self.zone.local(micros).div_euclid(86_400_000_000);
                ScalarValue::Date32(i32::try_from(days).ok())
            }
        }
    }
}

impl ScalarUDFImpl for EpochTime {
    fn name(&self) -> &str {
        &self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(match self.kind {
            Kind::Timestamp => ddl::timestamp(),
            Kind::LocalTimestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Kind::Date => DataType::Date32,
        })
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match self.now_ms {
            Some(now_ms) => Ok(ColumnarValue::Scalar(self.at(now_ms))),
            None => datafusion::common::internal_err!("{} was not given the epoch's time", self.name),
        }
    }
}
