//! What is wrong with a configuration and how it is shown: the line, a caret under the culprit, and
//! what would be right. Separate from the checks so that they say what, never how it looks.

use std::fmt;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::document::Location;

/// One text that configuration was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Source {
    /// A file's path, or the option (`--set`, `--log`) that carried the text.
    pub(super) name: String,
    pub(super) text: String,
}

/// One fault: a title, the place with what would be right there, other places it touches, and
/// advice that has no place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Diagnostic {
    title: String,
    at: Option<Location>,
    label: String,
    context: Vec<(Location, String)>,
    help: Option<String>,
}

impl Diagnostic {
    /// A fault at a place; `at` is `None` where only a built-in default is to blame.
    pub(super) fn new(
        title: impl Into<String>,
        at: impl Into<Option<Location>>,
        label: impl Into<String>,
    ) -> Self {
        let (title, at, label) = (title.into(), at.into(), label.into());
        Self {
            title,
            at,
            label,
            context: Vec::new(),
            help: None,
        }
    }

    /// Points at a second place as well.
    pub(super) fn context(
        mut self,
        at: impl Into<Option<Location>>,
        label: impl Into<String>,
    ) -> Self {
        self.context.extend(at.into().map(|at| (at, label.into())));
        self
    }

    /// Adds a line of advice below the source.
    pub(super) fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into());
        self
    }

    /// Where it is, unless only a built-in default is to blame.
    pub(super) fn at(&self) -> Option<&Location> {
        self.at.as_ref()
    }

    /// Faults are shown in the order in which a reader meets them.
    fn position(&self) -> (usize, usize) {
        self.at.as_ref().map_or((0, 0), |at| (at.source, at.start))
    }

    fn render(&self, sources: &[Source], renderer: &Renderer) -> String {
        let mut group = Group::with_title(Level::ERROR.primary_title(self.title.as_str()));
        let places = self
            .at
            .iter()
            .map(|at| (AnnotationKind::Primary, at, &self.label));
        let others = self
            .context
            .iter()
            .map(|(at, label)| (AnnotationKind::Context, at, label));
        let places: Vec<_> = places.chain(others).collect();
        for (index, source) in sources.iter().enumerate() {
            let here: Vec<_> = places
                .iter()
                .filter(|(_, at, _)| at.source == index)
                .collect();
            if here.is_empty() {
                continue;
            }
            let mut snippet = Snippet::source(source.text.as_str()).path(source.name.as_str());
            for (kind, at, label) in here {
                snippet = snippet.annotation(kind.span(at.start..at.end).label(label.as_str()));
            }
            group = group.element(snippet);
        }
        if self.at.is_none() {
            group = group.element(Level::NOTE.message(self.label.as_str()));
        }
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        renderer.render(&[group])
    }
}

/// Everything that is wrong with a configuration. Its `Display` is the whole report in plain text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    sources: Vec<Source>,
    diagnostics: Vec<Diagnostic>,
}

impl Invalid {
    pub(super) fn new(sources: Vec<Source>, mut diagnostics: Vec<Diagnostic>) -> Self {
        diagnostics.sort_by_key(Diagnostic::position);
        // One cause may break a rule in several ways: a missing virtual host for all who need it.
        diagnostics.dedup_by(|next, first| next.title == first.title && next.at == first.at);
        Self {
            sources,
            diagnostics,
        }
    }

    /// How many faults the report holds.
    pub fn count(&self) -> usize {
        self.diagnostics.len()
    }

    /// The whole report, with colours for a terminal.
    pub fn render_styled(&self) -> String {
        self.render(&Renderer::styled())
    }

    fn render(&self, renderer: &Renderer) -> String {
        let mut report = String::new();
        for diagnostic in &self.diagnostics {
            report.push_str(&diagnostic.render(&self.sources, renderer));
            report.push_str("\n\n");
        }
        let plural = if self.count() == 1 { "" } else { "s" };
        report.push_str(&format!(
            "the configuration has {} error{plural}",
            self.count()
        ));
        report
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.render(&Renderer::plain()))
    }
}

impl std::error::Error for Invalid {}
