//! One stage of a flow, and what is known while a table goes through the stages.

use super::split::{Split, gathered, scattered};
use super::{Link, Outcome, Shadow};
use crate::pipeline::{Finding, ModelKey, Validation};
use crate::runtime::Deadline;
use crate::runtime::error::RunError;
use crate::runtime::pool::{Pool, Turns};
use crate::tensor::{Column, Misfit, MisfitKind, NamedTensor, RowShape, Table};
use std::borrow::Cow;
use std::ops::Range;
use std::time::{Duration, Instant};

/// A model in a stage.
#[derive(Debug)]
pub(super) struct Arm {
    pub(super) key: ModelKey,
    pub(super) link: Link,
}

/// What happens in turn.
#[derive(Debug)]
pub(super) enum Stage {
    /// One model answers, the others run after it.
    Models {
        arms: Vec<Arm>,
        /// Which of them answers.
        champion: usize,
        /// Which of them are shown, if they are not the champion.
        shown: Range<usize>,
    },
    /// Each row goes to one of several models.
    Split { arms: Vec<Arm>, split: Split },
    /// Rows are held against validations.
    Check(Vec<Validation>),
    /// Only these columns go on.
    Select(Vec<String>),
}

impl Stage {
    /// The models of the stage.
    pub(super) fn arms(&self) -> &[Arm] {
        match self {
            Stage::Models { arms, .. } | Stage::Split { arms, .. } => arms,
            Stage::Check(_) | Stage::Select(_) => &[],
        }
    }

    /// The models that are shown beside the one that answers.
    pub(super) fn challengers(&self) -> impl Iterator<Item = &Arm> {
        let (arms, champion, shown) = match self {
            Stage::Models { arms, champion, shown } => (arms.as_slice(), *champion, shown.clone()),
            Stage::Split { .. } | Stage::Check(_) | Stage::Select(_) => (&[][..], 0, 0..0),
        };
        let shown =
            move |(place, arm)| (place != champion && shown.contains(&place)).then_some(arm);
        arms.iter().enumerate().filter_map(shown)
    }

    /// The models of a split.
    pub(super) fn split_arms(&self) -> &[Arm] {
        match self {
            Stage::Split { arms, .. } => arms,
            Stage::Models { .. } | Stage::Check(_) | Stage::Select(_) => &[],
        }
    }

    /// Whether rows of several requests may go through it together and gain from that.
    pub(super) fn gains_from_batches(&self) -> bool {
        match self {
            Stage::Models { arms, .. } => match arms.as_slice() {
                [only] => only.link.gains_from_batches(),
                _ => false,
            },
            // Each request draws or is routed for itself.
            Stage::Split { .. } => false,
            Stage::Check(_) | Stage::Select(_) => true,
        }
    }

    pub(super) fn run(&self, run: &mut Run<'_>) -> Result<(), RunError> {
        let start = Instant::now();
        match self {
            Stage::Models { arms, champion, shown } => {
                run.models(arms, *champion, shown.clone())?;
                run.elapsed.push(start.elapsed());
            }
            Stage::Split { arms, split } => {
                run.split(arms, split)?;
                run.elapsed.push(start.elapsed());
            }
            Stage::Check(validations) => run.check(validations),
            Stage::Select(columns) => run.select(columns)?,
        }
        Ok(())
    }
}

/// A table on its way through the stages.
pub(super) struct Run<'r> {
    pool: &'r Pool,
    turns: &'r dyn Turns,
    deadline: Deadline,
    /// The client's rows.
    table: &'r Table<'r>,
    /// The last model that answered, and what.
    answer: Option<(ModelKey, Vec<NamedTensor<'static>>)>,
    /// The client's columns that go on to the first model, when not all do.
    selected: Option<Vec<String>>,
    shadows: Vec<Shadow>,
    chosen: Option<Vec<ModelKey>>,
    findings: Vec<Finding>,
    elapsed: Vec<Duration>,
}

impl<'r> Run<'r> {
    pub(super) fn new(
        pool: &'r Pool,
        turns: &'r dyn Turns,
        table: &'r Table<'r>,
        deadline: Deadline,
    ) -> Run<'r> {
        Run {
            pool,
            turns,
            deadline,
            table,
            answer: None,
            selected: None,
            shadows: Vec::new(),
            chosen: None,
            findings: Vec::new(),
            elapsed: Vec::new(),
        }
    }

    /// What the next model takes its columns from.
    fn columns(&self) -> Result<Table<'_>, RunError> {
        match (&self.answer, &self.selected) {
            (Some((_, outputs)), _) => Ok(as_table(outputs, self.table.rows())?),
            (None, None) => Ok(borrowed(self.table, |_| true)?),
            (None, Some(selected)) => {
                Ok(borrowed(self.table, |name| selected.iter().any(|it| it == name))?)
            }
        }
    }

    fn arm(&self, arm: &Arm, table: &Table<'_>) -> Result<Vec<NamedTensor<'static>>, RunError> {
        arm.link.run(self.pool, self.turns, table, self.deadline)
    }

    /// A challenger runs on the same table, and takes at most half of the time that is left.
    fn challenger(&self, arm: &Arm, table: &Table<'_>) -> Shadow {
        let deadline = self.deadline.halfway();
        let outputs = arm.link.run(self.pool, self.turns, table, deadline);
        Shadow { model: arm.key.clone(), outputs }
    }

    /// The champion first: whatever a challenger does, its answer is there.
    fn models(
        &mut self,
        arms: &[Arm],
        champion: usize,
        shown: Range<usize>,
    ) -> Result<(), RunError> {
        // The common case, without a copy of the list of columns.
        let answer = match (&self.answer, &self.selected, arms) {
            (None, None, [only]) => self.arm(only, self.table)?,
            _ => {
                let table = self.columns()?;
                let answer = self.arm(&arms[champion], &table)?;
                let challengers = arms.iter().enumerate();
                let challengers =
                    challengers.filter(|(place, _)| *place != champion && shown.contains(place));
                let shadows: Vec<Shadow> =
                    challengers.map(|(_, arm)| self.challenger(arm, &table)).collect();
                self.shadows.extend(shadows);
                answer
            }
        };
        self.chosen = None;
        self.answer = Some((arms[champion].key.clone(), answer));
        Ok(())
    }

    fn split(&mut self, arms: &[Arm], split: &Split) -> Result<(), RunError> {
        let rows = self.table.rows();
        let places = split.choose(self.table)?;
        let table = self.columns()?;
        let first = places.first().copied().unwrap_or_default();
        let outputs = if places.iter().all(|place| *place == first) {
            self.arm(&arms[first], &table)?
        } else {
            let mut parts = Vec::new();
            for (place, arm) in arms.iter().enumerate() {
                let of_arm: Vec<usize> = (0..rows).filter(|row| places[*row] == place).collect();
                if !of_arm.is_empty() {
                    let outputs = self.arm(arm, &gathered(&table, &of_arm)?)?;
                    parts.push((of_arm, outputs));
                }
            }
            scattered(parts, rows)?
        };
        let chosen = places.iter().map(|place| arms[*place].key.clone()).collect();
        self.chosen = Some(chosen);
        self.answer = Some((arms[first].key.clone(), outputs));
        Ok(())
    }

    fn check(&mut self, validations: &[Validation]) {
        let outputs = self.answer.as_ref().map_or(&[][..], |(_, outputs)| outputs);
        let found = validations.iter().map(|validation| validation.find(self.table, outputs));
        self.findings.extend(found);
    }

    fn select(&mut self, columns: &[String]) -> Result<(), RunError> {
        match &mut self.answer {
            Some((_, outputs)) => outputs.retain(|output| columns.contains(&output.name)),
            None => self.selected = Some(columns.to_vec()),
        }
        Ok(())
    }

    pub(super) fn outcome(self) -> Result<Outcome, RunError> {
        let Run { answer, shadows, chosen, findings, elapsed, .. } = self;
        let (model, outputs) = answer.ok_or_else(|| RunError::Broke("no model ran".to_owned()))?;
        Ok(Outcome { model, outputs, shadows, chosen, findings, elapsed })
    }
}

/// The columns of a table that are wanted, without a copy of their values.
fn borrowed<'t>(
    table: &'t Table<'_>,
    is_wanted: impl Fn(&str) -> bool,
) -> Result<Table<'t>, Misfit> {
    let columns = table.columns().iter().filter(|column| is_wanted(&column.name));
    made(table.rows(), columns.map(Column::borrow).collect())
}

/// The outputs of a model as the table for the next.
fn as_table<'o>(outputs: &'o [NamedTensor<'_>], rows: usize) -> Result<Table<'o>, Misfit> {
    let columns = outputs
        .iter()
        .filter_map(|output| {
            let shape = output.tensor.shape();
            let row = match shape.split_first() {
                Some((first, rest)) if *first == rows => rest.to_vec(),
                // One row may have given a whole tensor: detections, for instance.
                Some(_) | None if rows == 1 => shape.to_vec(),
                Some(_) | None => return None,
            };
            Some(Column {
                name: Cow::Borrowed(&output.name),
                row_shape: RowShape::Told(row),
                data: output.tensor.data().borrow(),
            })
        })
        .collect();
    made(rows, columns)
}

/// A table of columns that should have its rows.
pub(super) fn made<'c>(rows: usize, columns: Vec<Column<'c>>) -> Result<Table<'c>, Misfit> {
    Table::new(rows, columns)
        .map_err(|error| Misfit::new(MisfitKind::WrongShape, error.to_string()))
}
