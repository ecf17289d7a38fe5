//! One SELECT: its clauses in the order in which names become visible, and its list with stars expanded.

use arrow::datatypes::DataType;
use datafusion::sql::sqlparser::ast::{
    ExceptSelectItem, Expr, GroupByExpr, Ident, ObjectName, OrderBy, OrderByKind, Select, SelectItem,
    SelectItemQualifiedWildcardKind, WildcardAdditionalOptions,
};
use forebay_core::Error;
use forebay_core::error::codes;

use super::expr::{Aliases, Names, columns_expr, field_access};
use super::scope::{Column, Scope, unknown};
use super::{Planner, grouping, naming, quoted, streaming};
use crate::plan::sql_error::SqlError;
use crate::plan::words::type_name;

/// Most columns of a SELECT over tables: planning takes the square of them.
const MAX_COLUMNS: usize = 1_000;

impl Planner<'_> {
    pub(super) fn select(
        &mut self,
        select: &mut Select,
        outer: Option<&Scope<'_>>,
        order_by: Option<&mut OrderBy>,
    ) -> Result<(), SqlError> {
        refuse_odd_clauses(select)?;
        grouping::plain(&mut select.group_by);
        if self.streaming {
            streaming::select(select, self.state)?;
        }
        let tables = self.from(&mut select.from, outer)?;
        let tables = self.lateral_views(select, tables, outer)?;
        let mut scope = Scope { tables, parent: outer };
        let makes_groups = streaming::makes_groups(self, select);
        let remembers = self.streaming && (makes_groups || select.distinct.is_some());
        if let Some(condition) = &mut select.selection {
            self.expr(condition, &scope)?;
        }
        let window = self.window(select, &scope)?;
        let window = window.as_ref();
        let list = std::mem::take(&mut select.projection);
        let list = self.with_generator(list, select, &mut scope, (window, makes_groups))?;
        let names = Names { scope: &scope, aliases: Aliases::None, window };
        let groups = grouping::of_sets(&select.group_by);
        let outer_groups = std::mem::replace(&mut self.groups, groups.clone());
        let resolved = self.list(list, &names);
        self.groups = outer_groups;
        select.projection = resolved?;
        if self.is_later {
            naming::tell_apart(&mut select.projection);
        }
        // A group is not one record.
        if remembers {
            self.carries_now.clear();
        } else {
            self.carry(&mut select.projection, &scope);
        }
        if self.streaming {
            refuse_duplicates(&select.projection)?;
        }
        let aliases: Vec<String> = select.projection.iter().filter_map(alias_of).collect();
        let after = Names { scope: &scope, aliases: Aliases::AfterColumns(&aliases), window };
        if let GroupByExpr::Expressions(exprs, _) = &mut select.group_by {
            for expr in exprs {
                self.expr_with(expr, &after)?;
            }
        }
        for expr in select.having.iter_mut().chain(&mut select.qualify) {
            grouping::named(expr, &groups);
            self.expr_with(expr, &after)?;
        }
        if let Some(OrderBy { kind: OrderByKind::Expressions(exprs), .. }) = order_by {
            let first = Names { scope: &scope, aliases: Aliases::BeforeColumns(&aliases), window };
            for item in exprs {
                grouping::named(&mut item.expr, &groups);
                self.expr_with(&mut item.expr, &first)?;
            }
        }
        Ok(())
    }

    /// Resolves the items of a SELECT list, expands what stars must be expanded here and names what has no name.
    fn list(&mut self, items: Vec<SelectItem>, names: &Names<'_>) -> Result<Vec<SelectItem>, SqlError> {
        let scope = names.scope;
        let mut out = Vec::with_capacity(items.len());
        for item in items {
            match item {
                SelectItem::UnnamedExpr(mut expr) => {
                    let name = naming::name_of(&expr);
                    let place = naming::place_of(&expr);
                    grouping::named(&mut expr, &self.groups);
                    self.expr_with(&mut expr, names)?;
                    let has_it = matches!(&expr, Expr::Identifier(ident) if ident.value == name)
                        || matches!(&expr, Expr::CompoundIdentifier(parts) if parts.last().is_some_and(|p| p.value == name));
                    out.push(if has_it {
                        SelectItem::UnnamedExpr(expr)
                    } else {
                        SelectItem::ExprWithAlias { expr, alias: quoted(name, &place) }
                    });
                }
                SelectItem::ExprWithAlias { mut expr, alias } => {
                    grouping::named(&mut expr, &self.groups);
                    self.expr_with(&mut expr, names)?;
                    out.push(SelectItem::ExprWithAlias { expr, alias });
                }
                SelectItem::Wildcard(options) => self.star(options, scope, &mut out)?,
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
                    self.qualified_star(&name, &options, scope, &mut out)?;
                }
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::Expr(_), _)
                | SelectItem::ExprWithAliases { .. } => {
                    return Err(Error::new(
                        &codes::NOT_YET,
                        format!("`{item}` in a SELECT list is not supported"),
                    )
                    .with_hint("Name the fields one by one.")
                    .into());
                }
            }
        }
        if !self.streaming {
            self.count_columns(bounded(&out, scope)?)?;
        }
        Ok(out)
    }

    /// `*`: left to DataFusion where it means the same.
    fn star(
        &mut self,
        options: WildcardAdditionalOptions,
        scope: &Scope<'_>,
        out: &mut Vec<SelectItem>,
    ) -> Result<(), SqlError> {
        let except = except_names(&options)?;
        let tables = &scope.tables;
        if tables.relations.is_empty() {
            return Err(Error::new(&codes::SQL_PLAN, "`SELECT *` needs a FROM").into());
        }
        let is_plain = tables.given.iter().all(|given| !given.hidden)
            && tables.given.iter().map(|given| given.of.clone()).eq(tables.relations.iter().flat_map(
                |relation| {
                    let of = |column: &Column| vec![(relation.qualifier.clone(), column.name.clone())];
                    relation.columns.iter().map(of)
                },
            ));
        // In a later part of a union each column may get another name.
        if is_plain && except.is_empty() && !self.is_later {
            out.push(SelectItem::Wildcard(options));
            return Ok(());
        }
        let mut like = Ident::new("");
        like.span = options.wildcard_token.0.span;
        check_except(&except, tables.given.iter().map(|given| given.name.as_str()))?;
        for given in tables.given.iter().filter(|given| !given.hidden && !excepted(&except, &given.name)) {
            let expr = columns_expr(&given.of, &like);
            out.push(match given.of.as_slice() {
                [(_, column)] if *column == given.name => SelectItem::UnnamedExpr(expr),
                _ => SelectItem::ExprWithAlias { expr, alias: quoted(given.name.clone(), &like) },
            });
        }
        Ok(())
    }

    /// `x.*`: the columns of a relation, or the fields of a struct.
    fn qualified_star(
        &mut self,
        name: &ObjectName,
        options: &WildcardAdditionalOptions,
        scope: &Scope<'_>,
        out: &mut Vec<SelectItem>,
    ) -> Result<(), SqlError> {
        let except = except_names(options)?;
        let parts: Vec<Ident> = name.0.iter().filter_map(|part| part.as_ident().cloned()).collect();
        let Some(first) = parts.first() else { return Ok(()) };
        if let [qualifier] = parts.as_slice()
            && let Some(relation) = scope.relation(&qualifier.value)
        {
            check_except(&except, relation.known())?;
            for column in
                relation.columns.iter().filter(|column| !column.hidden && !excepted(&except, &column.name))
            {
                let parts = vec![
                    quoted(relation.qualifier.clone(), qualifier),
                    quoted(column.name.clone(), qualifier),
                ];
                out.push(SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)));
            }
            return Ok(());
        }
        let Some(path) = scope.path(&parts)? else {
            let mut known: Vec<&str> =
                scope.tables.relations.iter().map(|relation| relation.qualifier.as_str()).collect();
            known.extend(scope.known());
            return Err(unknown("table or struct", first, &known));
        };
        let DataType::Struct(fields) = &path.data_type else {
            let error = Error::new(
                &codes::SQL_PLAN,
                format!("`{name}.*` needs a STRUCT, but `{name}` is of type {}", type_name(&path.data_type)),
            );
            return Err(SqlError::spanned(error, first.span));
        };
        let columns: Vec<Column> = fields
            .iter()
            .map(|field| Column {
                name: field.name().clone(),
                data_type: field.data_type().clone(),
                hidden: false,
            })
            .collect();
        check_except(&except, columns.iter().map(|column| column.name.as_str()))?;
        for column in columns.iter().filter(|column| !excepted(&except, &column.name)) {
            let base = super::expr::path_expr(&path, first);
            let expr = field_access(base, &column.name, first);
            out.push(SelectItem::ExprWithAlias { expr, alias: quoted(column.name.clone(), first) });
        }
        Ok(())
    }
}

/// How many columns a list gives; refuses more than can be planned in a short time.
fn bounded(items: &[SelectItem], scope: &Scope<'_>) -> Result<u64, SqlError> {
    let all = || scope.tables.given.len();
    let columns = |item: &SelectItem| if matches!(item, SelectItem::Wildcard(_)) { all() } else { 1 };
    let written = items.len();
    let given: usize = items.iter().map(columns).sum();
    if given <= MAX_COLUMNS {
        return Ok(given as u64);
    }
    let error = Error::new(
        &codes::SQL_PLAN,
        format!("a SELECT gives {given} columns; at most {MAX_COLUMNS} are possible"),
    )
    .with_hint("Name those that you need, or put them into a struct(…).");
    let place = items.get(MAX_COLUMNS.min(written.saturating_sub(1))).and_then(|item| match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(alias.span),
        SelectItem::UnnamedExpr(expr) => Some(naming::place_of(expr).span),
        _ => None,
    });
    Err(place.map_or_else(|| error.clone().into(), |span| SqlError::spanned(error.clone(), span)))
}

fn refuse_odd_clauses(select: &Select) -> Result<(), SqlError> {
    let odd = [
        (select.into.is_some(), "SELECT INTO"),
        (select.top.is_some(), "TOP"),
        (select.prewhere.is_some(), "PREWHERE"),
        (!select.connect_by.is_empty(), "CONNECT BY"),
        (!select.cluster_by.is_empty(), "CLUSTER BY"),
        (!select.distribute_by.is_empty(), "DISTRIBUTE BY"),
        (!select.sort_by.is_empty(), "SORT BY"),
        (!select.named_window.is_empty(), "WINDOW"),
        (select.value_table_mode.is_some(), "SELECT AS"),
        (select.exclude.is_some(), "EXCLUDE"),
        (select.select_modifiers.is_some(), "this SELECT modifier"),
    ];
    match odd.iter().find(|(there, _)| *there) {
        Some((_, what)) => Err(Error::new(&codes::NOT_YET, format!("{what} is not supported")).into()),
        None => Ok(()),
    }
}

fn refuse_duplicates(items: &[SelectItem]) -> Result<(), SqlError> {
    let names: Vec<String> = items.iter().filter_map(naming::given).collect();
    for (index, name) in names.iter().enumerate() {
        if names.iter().take(index).any(|earlier| earlier.eq_ignore_ascii_case(name)) {
            let place = items.get(index).and_then(|item| match item {
                SelectItem::ExprWithAlias { alias, .. } => Some(alias.span),
                SelectItem::UnnamedExpr(expr) => Some(naming::place_of(expr).span),
                _ => None,
            });
            let error = Error::new(&codes::SQL_PLAN, format!("the SELECT gives two columns named `{name}`"))
                .with_hint("Rename one of them with AS; case makes no difference.");
            return Err(
                place.map_or_else(|| error.clone().into(), |span| SqlError::spanned(error.clone(), span))
            );
        }
    }
    Ok(())
}

fn alias_of(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(alias.value.clone()),
        _ => None,
    }
}

fn except_names(options: &WildcardAdditionalOptions) -> Result<Vec<Ident>, SqlError> {
    if options.opt_ilike.is_some()
        || options.opt_exclude.is_some()
        || options.opt_replace.is_some()
        || options.opt_rename.is_some()
        || options.opt_alias.is_some()
    {
        return Err(Error::new(&codes::NOT_YET, "after `*` only EXCEPT (…) is supported").into());
    }
    Ok(match &options.opt_except {
        None => Vec::new(),
        Some(ExceptSelectItem { first_element, additional_elements }) => {
            std::iter::once(first_element).chain(additional_elements).cloned().collect()
        }
    })
}

fn excepted(except: &[Ident], name: &str) -> bool {
    except.iter().any(|ident| ident.value.eq_ignore_ascii_case(name))
}

fn check_except<'n>(except: &[Ident], names: impl Iterator<Item = &'n str>) -> Result<(), SqlError> {
    let known: Vec<&str> = names.collect();
    match except.iter().find(|ident| !known.iter().any(|name| name.eq_ignore_ascii_case(&ident.value))) {
        Some(ident) => Err(unknown("column", ident, &known)),
        None => Ok(()),
    }
}
