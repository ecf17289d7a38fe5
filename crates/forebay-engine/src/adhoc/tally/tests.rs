//! Aggregates on codes against DataFusion's own, over the same files.

use std::path::Path;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use arrow::util::pretty::pretty_format_batches;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::file::properties::WriterProperties;
use datafusion::physical_plan::{collect, displayable};
use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};

use super::*;

/// A number that looks random and is the same in each run.
fn number(of: usize, below: usize) -> usize {
    (of as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29).wrapping_mul(0xBF58_476D_1CE4_E5B9)
        as usize
        % below
}

/// `a, b, c STRING, n BIGINT, x DOUBLE, text STRING`, of which one row in nine is NULL, another one in each column.
fn rows(from: usize, rows: usize, values: usize) -> RecordBatch {
    let texts = |column: usize, values: usize| -> ArrayRef {
        let text = |row: usize| {
            let at = row * 7 + column;
            (number(at, 9) > 0).then(|| format!("{column}-{}", number(at + 1, values)))
        };
        Arc::new(StringArray::from_iter((from..from + rows).map(text)))
    };
    let there = |row: usize, column: usize| number(row * 7 + column, 9) > 0;
    let numbers = (from..from + rows).map(|row| there(row, 3).then(|| number(row, 1_000) as i64));
    // Whole numbers: their sum is the same in any order.
    let doubles = (from..from + rows).map(|row| there(row, 4).then(|| number(row, 100) as f64));
    let columns: Vec<ArrayRef> = vec![
        texts(0, values),
        texts(1, values.div_ceil(10)),
        texts(2, 3),
        Arc::new(Int64Array::from_iter(numbers)),
        Arc::new(Float64Array::from_iter(doubles)),
        texts(5, 500),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

fn schema() -> SchemaRef {
    let text = |name| Field::new(name, DataType::Utf8, true);
    let number = Field::new("n", DataType::Int64, true);
    let double = Field::new("x", DataType::Float64, true);
    Arc::new(Schema::new(vec![text("a"), text("b"), text("c"), number, double, text("text")]))
}

fn write(folder: &Path, name: &str, rows: &RecordBatch, properties: WriterProperties) {
    let file = std::fs::File::create(folder.join(format!("{name}.parquet"))).unwrap();
    let mut writer = ArrowWriter::try_new(file, rows.schema(), Some(properties)).unwrap();
    writer.write(rows).unwrap();
    writer.close().unwrap();
}

fn groups_of(rows: usize) -> WriterProperties {
    WriterProperties::builder()
        .set_max_row_group_row_count(Some(rows))
        .set_data_page_row_count_limit(100)
        .build()
}

/// The folder's files as the table `t`.
async fn table(folder: &Path, schema: &Schema) -> SessionContext {
    let config = SessionConfig::new().with_target_partitions(3).with_batch_size(64);
    let config = config.set_usize("datafusion.optimizer.repartition_file_min_size", 0);
    let context = SessionContext::new_with_config(config);
    let options = ParquetReadOptions::default().schema(schema);
    context.register_parquet("t", folder.to_str().unwrap(), options).await.unwrap();
    context
}

/// The plan as it is run, and whether codes are used in it.
async fn plan(context: &SessionContext, sql: &str) -> (Arc<dyn ExecutionPlan>, bool) {
    let theirs = context.sql(sql).await.unwrap().create_physical_plan().await.unwrap();
    let ours = over(theirs, None).await.unwrap();
    let shown = displayable(ours.as_ref()).indent(true).to_string();
    (ours, shown.contains("DictionaryAggregate"))
}

async fn answer(context: &SessionContext, plan: Arc<dyn ExecutionPlan>) -> Vec<String> {
    let batches = collect(plan, context.task_ctx()).await.unwrap();
    let mut lines: Vec<_> =
        pretty_format_batches(&batches).unwrap().to_string().lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// Asks in both ways; true if ours was another.
async fn is_same_on_codes(context: &SessionContext, sql: &str) -> bool {
    let theirs = context.sql(sql).await.unwrap().create_physical_plan().await.unwrap();
    let (ours, is_coded) = plan(context, sql).await;
    let theirs = answer(context, theirs).await;
    assert!(theirs.len() > 4, "{sql} gives nothing");
    assert_eq!(answer(context, ours).await, theirs, "{sql}");
    is_coded
}

const ON_CODES: [&str; 9] = [
    "SELECT a, count(*) FROM t GROUP BY a",
    "SELECT c, count(*), sum(n), max(text), count(n) FROM t GROUP BY c",
    "SELECT b, a, count(*), avg(x), max(n) FROM t GROUP BY a, b",
    "SELECT c, b, a, sum(n), min(x), count(n), count(x) FROM t GROUP BY a, b, c",
    "SELECT c, text, a, b, count(1) FROM t GROUP BY a, b, c, text",
    "SELECT a, text, count(*) FROM t GROUP BY a, text",
    "SELECT b, min(text), max(text), avg(x), avg(n) FROM (SELECT text, x, n, b FROM t) GROUP BY b",
    "SELECT a, b FROM t GROUP BY a, b",
    "SELECT a AS one, sum(CAST(n AS DOUBLE)) AS two FROM t GROUP BY 1 HAVING count(*) > 1 ORDER BY two",
];

#[tokio::test]
async fn an_answer_is_that_of_the_ordinary_plan() {
    let folder = tempfile::tempdir().unwrap();
    for (at, (count, values)) in [(4_000, 700), (1, 1), (2_500, 40), (3_000, 700)].into_iter().enumerate() {
        write(folder.path(), &at.to_string(), &rows(at * 10_000, count, values), groups_of(900));
    }
    write(folder.path(), "empty", &rows(0, 0, 1), groups_of(900));
    // Its dictionaries do not hold all values: the pages after them have plain ones.
    let small = WriterProperties::builder()
        .set_dictionary_page_size_limit(200)
        .set_write_batch_size(20)
        .set_data_page_row_count_limit(20)
        .build();
    write(folder.path(), "plain", &rows(70_000, 600, 300), small);
    let context = table(folder.path(), &schema()).await;
    for sql in ON_CODES {
        assert!(is_same_on_codes(&context, sql).await, "{sql}");
    }
}

#[tokio::test]
async fn a_file_without_a_column_has_null_there() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "whole", &rows(0, 3_000, 20), groups_of(700));
    let without = |columns: &[usize]| rows(9_000, 1_000, 20).project(columns).unwrap();
    write(folder.path(), "no-a", &without(&[4, 1, 2, 3]), groups_of(300));
    write(folder.path(), "no-n", &without(&[0, 1, 5]), groups_of(300));
    write(folder.path(), "others", &without(&[5]), groups_of(300));
    // Another type of text, another of numbers.
    let other = without(&[0, 3]);
    let names = arrow::compute::cast(other.column(0), &DataType::LargeUtf8).unwrap();
    let numbers = arrow::compute::cast(other.column(1), &DataType::Int32).unwrap();
    let other = RecordBatch::try_from_iter_with_nullable([("n", numbers, true), ("a", names, true)]).unwrap();
    write(folder.path(), "typed", &other, groups_of(300));
    let context = table(folder.path(), &schema()).await;
    for sql in ON_CODES {
        assert!(is_same_on_codes(&context, sql).await, "{sql}");
    }
}

#[tokio::test]
async fn what_is_not_known_to_be_the_same_keeps_its_plan() {
    let folder = tempfile::tempdir().unwrap();
    for at in 0..3 {
        write(folder.path(), &at.to_string(), &rows(at * 1_000, 1_000, 20), groups_of(300));
    }
    let context = table(folder.path(), &schema()).await;
    for sql in [
        "SELECT a, count(DISTINCT n) FROM t GROUP BY a",
        "SELECT a, count(*) FILTER (WHERE n > 3) FROM t GROUP BY a",
        "SELECT a, count(*) FROM t WHERE n > 3 GROUP BY a",
        "SELECT a, count(*) FROM (SELECT * FROM t LIMIT 3000) GROUP BY a",
        "SELECT n, count(*) FROM t GROUP BY n",
        "SELECT a, n, count(*) FROM t GROUP BY a, n",
        "SELECT lower(a), count(*) FROM t GROUP BY 1",
        "SELECT a, max(a) FROM t GROUP BY a",
        "SELECT a, sum(n + 1) FROM t GROUP BY a",
        "SELECT a, b, count(*) FROM t GROUP BY ROLLUP (a, b)",
        "SELECT a, array_length(array_agg(n ORDER BY n)) FROM t GROUP BY a",
    ] {
        assert!(!is_same_on_codes(&context, sql).await, "{sql}");
    }
    // A key that is a number in one of the files.
    let other = rows(0, 1_000, 20).project(&[3]).unwrap();
    let other = RecordBatch::try_from_iter_with_nullable([("a", Arc::clone(other.column(0)), true)]).unwrap();
    write(folder.path(), "other", &other, groups_of(300));
    let context = table(folder.path(), &schema()).await;
    assert!(!is_same_on_codes(&context, "SELECT a, count(*) FROM t GROUP BY a").await);
    assert!(is_same_on_codes(&context, "SELECT b, count(*) FROM t GROUP BY b").await);
}

#[tokio::test]
async fn texts_without_dictionaries_keep_their_plan() {
    let folder = tempfile::tempdir().unwrap();
    let plain = WriterProperties::builder().set_dictionary_enabled(false).build();
    write(folder.path(), "plain", &rows(0, 1_000, 20), plain);
    let context = table(folder.path(), &schema()).await;
    assert!(!is_same_on_codes(&context, "SELECT a, count(*) FROM t GROUP BY a").await);
}

#[tokio::test]
async fn too_many_groups_are_given_out_in_parts() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "many", &rows(0, 40_000, 30_000), groups_of(20_000));
    write(folder.path(), "more", &rows(40_000, 40_000, 30_000), groups_of(20_000));
    let context = table(folder.path(), &schema()).await;
    let (ours, is_coded) = plan(&context, "SELECT a, text, count(*) FROM t GROUP BY a, text").await;
    assert!(is_coded);
    let mut first = None;
    ours.apply(|node| {
        first = first.take().or_else(|| node.downcast_ref::<DictionaryAggregate>().map(|_| Arc::clone(node)));
        Ok(TreeNodeRecursion::Continue)
    })
    .unwrap();
    let pool = Arc::new(GreedyMemoryPool::new(512 << 10));
    let runtime = RuntimeEnvBuilder::new().with_memory_pool(pool).build_arc().unwrap();
    let narrow = Arc::new(TaskContext::default().with_runtime(runtime));
    let parts = collect(first.unwrap(), narrow).await.unwrap();
    let groups: usize = parts.iter().map(RecordBatch::num_rows).sum();
    let counted: i64 =
        parts.iter().flat_map(|part| part.column(2).as_primitive::<Int64Type>().values()).sum();
    assert_eq!(counted, 80_000);
    let all = collect(Arc::clone(&ours), context.task_ctx()).await.unwrap();
    let all: usize = all.iter().map(RecordBatch::num_rows).sum();
    assert!(groups > all, "{groups} groups in parts, {all} in all");
}

#[tokio::test]
async fn nothing_is_counted_after_the_deadline() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "t", &rows(0, 1_000, 20), groups_of(1_000));
    let context = table(folder.path(), &schema()).await;
    let theirs = context.sql("SELECT a, count(*) FROM t GROUP BY a").await.unwrap();
    let theirs = theirs.create_physical_plan().await.unwrap();
    let late = Deadline { at: Instant::now(), time: Duration::ZERO };
    let ours = over(theirs, Some(late)).await.unwrap();
    let error = collect(ours, context.task_ctx()).await.unwrap_err();
    assert!(error.to_string().contains("took longer"), "{error}");
}
