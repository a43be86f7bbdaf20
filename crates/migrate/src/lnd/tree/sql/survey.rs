//! The look at all rows: which of them are damaged, and which belong to no bucket.
//!
//! The database does the work. A row that is found stands for itself and everything below it; what
//! cannot be reached from the top level at all is lost, and has no path.

use std::collections::{HashMap, HashSet};

use super::super::{Damage, Survey};
use super::OpenError;
use super::engine::{Cell, EngineError};
use super::table::Table;
use crate::bolt::{BucketPath, display_path};
use crate::lnd::path::Path;

/// Rows found in one way that are looked at. Real damage is less, or all is lost.
const MOST: usize = 10_000;

/// Rows that are named where many can have one fault.
const NAMED: usize = 100;

/// Buckets inside buckets, at most, as in bbolt's reader; lnd's deepest is at level 5.
const MAX_NESTING: usize = 32;

/// What is wrong by row number.
type Damaged = HashMap<i64, String>;

/// Looks at all rows.
pub(super) fn run(table: &Table) -> Result<(Survey, Damaged), OpenError> {
    let mut looking = Looking { table, survey: Survey::default(), damaged: HashMap::new() };
    looking.ids()?;
    looking.single_rows()?;
    looking.equal_keys()?;
    looking.parents()?;
    looking.unreached()?;
    let mut count = table.ask("select count(value) from {table}", &[])?;
    let keys = count.first_mut().and_then(super::engine::Row::integer).unwrap_or(0);
    looking.survey.keys = u64::try_from(keys).unwrap_or(0);
    let Looking { mut survey, damaged, .. } = looking;
    survey.damage.sort_by(|a, b| a.path.cmp(&b.path));
    // Two rows with one key have one path.
    survey.damage.dedup_by(|a, b| a.path == b.path);
    Ok((survey, damaged))
}

struct Looking<'t> {
    table: &'t Table,
    survey: Survey,
    damaged: Damaged,
}

/// Where a row is.
enum Position {
    /// Below the top level.
    At(Path),
    /// Below a row that does not exist.
    Orphaned,
    /// Below itself; these rows are the circle.
    Circle(HashSet<i64>),
}

impl Looking<'_> {
    /// Row numbers must tell rows apart, or nothing else can be said of them.
    fn ids(&mut self) -> Result<(), OpenError> {
        let text = "select coalesce(cast(id as text), 'null') from {table} group by id \
                    having count(*) > 1 or id is null limit 1";
        match self.table.ask(text, &[])?.into_iter().next() {
            None => Ok(()),
            Some(mut row) => Err(OpenError::Ids {
                table: self.table.engine.table().to_owned(),
                id: row.text().unwrap_or_default(),
            }),
        }
    }

    /// Finds rows that cannot be what they are, whatever the others are.
    fn single_rows(&mut self) -> Result<(), OpenError> {
        // A row without a usable key cannot be found by it, so its bucket would look whole without it.
        let text = "select id, parent_id, fault \
                    from (select id, parent_id, {key_fault} as fault from {table}) as looked \
                    where fault is not null order by id limit $1";
        for mut row in self.ask(text)? {
            let (Some(id), parent, Some(what)) = (row.integer(), row.integer(), row.text()) else {
                continue;
            };
            let what = format!("row {id} in it: {what}");
            match parent {
                Some(parent) => self.damage(parent, &what)?,
                None => self.survey.damage.push(Damage { path: Path::new(), what }),
            }
        }
        let text = "select id, fault from (select id, {fault} as fault from {table}) as looked \
                    where fault is not null order by id limit $1";
        for mut row in self.ask(text)? {
            if let (Some(id), Some(what)) = (row.integer(), row.text()) {
                self.damage(id, &what)?;
            }
        }
        Ok(())
    }

    /// Finds rows of one bucket with the same key. Without a parent, no constraint of the columns
    /// alone forbids them.
    fn equal_keys(&mut self) -> Result<(), OpenError> {
        for (text, same) in [
            (
                "select parent_id, key from {table} where parent_id is not null \
                 group by parent_id, key having count(*) > 1 limit $1",
                "select id from {table} where parent_id = $1 and key = $2 order by id",
            ),
            (
                "select null, key from {table} where parent_id is null \
                 group by key having count(*) > 1 limit $1",
                "select id from {table} where parent_id is null and key = $1 order by id",
            ),
        ] {
            for mut row in self.ask(text)? {
                let parent = row.integer();
                let Some(key) = row.bytes() else { continue };
                let parameters = parent.map(Cell::Integer).into_iter().chain([Cell::Bytes(key)]);
                let ids = self.table.ask(same, &parameters.collect::<Vec<_>>())?;
                let ids: Vec<_> = ids.into_iter().filter_map(|mut row| row.integer()).collect();
                let shown: Vec<_> = ids.iter().take(NAMED).map(i64::to_string).collect();
                let what = format!("rows {} have the same key", shown.join(" and "));
                ids.into_iter().try_for_each(|id| self.damage(id, &what))?;
            }
        }
        Ok(())
    }

    /// Finds rows whose parent is no bucket, or is not there.
    fn parents(&mut self) -> Result<(), OpenError> {
        let text = "select holder.id from \
                    (select distinct parent_id from {table} where parent_id is not null) as parents \
                    join {table} as holder on holder.id = parents.parent_id \
                    where holder.value is not null order by holder.id limit $1";
        for mut row in self.ask(text)? {
            row.integer()
                .map_or(Ok(()), |id| self.damage(id, "is a value and has entries below it"))?;
        }
        let orphans = "from {table} as row left join {table} as holder on holder.id = row.parent_id \
                       where row.parent_id is not null and holder.id is null";
        let counted = self.table.ask(&format!("select count(*) {orphans}"), &[])?;
        let count = counted.into_iter().next().and_then(|mut row| row.integer()).unwrap_or(0);
        if count == 0 {
            return Ok(());
        }
        let named = format!(
            "select row.id, row.key, cast(row.parent_id as text) {orphans} order by row.id limit {NAMED}"
        );
        for mut row in self.table.ask(&named, &[])? {
            let (Some(id), key) = (row.integer(), row.bytes()) else { continue };
            let (key, parent) = (key.unwrap_or_default(), row.text().unwrap_or_default());
            let what =
                format!("{}: its parent, row {parent}, does not exist", display_path(&[key]));
            self.lose(format!("row {id}"), what);
        }
        let more = usize::try_from(count).unwrap_or(usize::MAX).saturating_sub(NAMED);
        if more > 0 {
            self.lose(format!("{more} more rows"), "their parents do not exist".to_owned());
        }
        Ok(())
    }

    /// Finds buckets that no way leads to from the top level, and those nested too deep.
    fn unreached(&mut self) -> Result<(), OpenError> {
        const REACH: &str = "with recursive reach (id, depth) as (\
             select id, 1 from {table} where parent_id is null and value is null \
             union all \
             select child.id, reach.depth + 1 from reach \
             join {table} as child on child.parent_id = reach.id where child.value is null)";
        let text = format!(
            "{REACH} select count(*) - (select count(*) from {{table}} where value is null), \
             coalesce(max(depth), 0) from reach"
        );
        let mut counted = self.table.ask(&text, &[])?;
        let Some(counted) = counted.first_mut() else { return Ok(()) };
        let (missing, depth) = (counted.integer().unwrap_or(0), counted.integer().unwrap_or(0));
        if usize::try_from(depth).is_ok_and(|depth| depth > MAX_NESTING) {
            let text =
                format!("{REACH} select id from reach where depth = {MAX_NESTING} + 1 limit $1");
            let what = format!("buckets are nested deeper than {MAX_NESTING}");
            for mut row in self.ask(&text)? {
                row.integer().map_or(Ok(()), |id| self.damage(id, &what))?;
            }
        }
        if missing == 0 {
            return Ok(());
        }
        let text = format!(
            "{REACH} select row.id from {{table}} as row left join reach on reach.id = row.id \
             where row.value is null and reach.id is null order by row.id limit $1"
        );
        let mut named = HashSet::new();
        for mut row in self.ask(&text)? {
            let Some(id) = row.integer() else { continue };
            let Position::Circle(circle) = self.position(id)? else { continue };
            if named.insert(circle.iter().copied().min()) {
                let mut circle: Vec<_> = circle.into_iter().collect();
                circle.sort_unstable();
                let rows: Vec<_> = circle.iter().take(NAMED).map(i64::to_string).collect();
                let what = format!("below itself, so no way leads there; rows {}", rows.join(", "));
                self.lose(format!("row {}", rows.first().map_or("", String::as_str)), what);
            }
        }
        Ok(())
    }

    /// Notes that a row is damaged.
    fn damage(&mut self, id: i64, what: &str) -> Result<(), OpenError> {
        if self.survey.damage.len() >= MOST {
            return Err(OpenError::TooMuchDamage);
        }
        match self.position(id)? {
            Position::At(path) => {
                let what = format!("row {id}: {what}");
                self.survey.damage.push(Damage { path, what: what.clone() });
                self.damaged.entry(id).or_insert(what);
            }
            // Lost with what is above it, which is named on its own.
            Position::Orphaned | Position::Circle(_) => {}
        }
        Ok(())
    }

    fn lose(&mut self, place: String, what: String) {
        self.survey.lost.push((place, what));
    }

    /// Runs a statement that finds damage, whose last parameter is the most rows to be found.
    fn ask(&self, text: &str) -> Result<Vec<super::engine::Row>, OpenError> {
        let most = i64::try_from(MOST).unwrap_or(i64::MAX);
        let rows = self.table.ask(text, &[Cell::Integer(most)])?;
        if rows.len() < MOST { Ok(rows) } else { Err(OpenError::TooMuchDamage) }
    }

    /// Follows parents up to the top level.
    fn position(&self, id: i64) -> Result<Position, EngineError> {
        let mut way: Vec<(i64, Vec<u8>)> = Vec::new();
        let mut seen = HashMap::new();
        let mut next = Some(id);
        while let Some(id) = next {
            if let Some(from) = seen.insert(id, way.len()) {
                let circle = way.get(from..).unwrap_or_default();
                return Ok(Position::Circle(circle.iter().map(|(id, _)| *id).collect()));
            }
            let Some((parent, key)) = self.table.up(id)? else { return Ok(Position::Orphaned) };
            way.push((id, key));
            next = parent;
        }
        let top_down = way.iter().rev();
        let path = top_down.fold(BucketPath::default(), |path, (_, key)| path.child(key));
        Ok(Position::At(path.to_vec()))
    }
}
