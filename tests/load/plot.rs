//! Line plots as SVG: a logarithmic axis each way, as many lines as there are series.

/// A line.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) name: String,
    /// Both coordinates are above zero.
    pub(crate) points: Vec<(f64, f64)>,
}

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 320.0;
const MARGIN: f64 = 56.0;
const COLOURS: [&str; 4] = ["#c0392b", "#2471a3", "#1e8449", "#b7950b"];

/// Powers of ten around the values, so that every axis begins and ends at a round one.
#[derive(Clone, Copy, Debug)]
struct Axis {
    low: f64,
    high: f64,
}

impl Axis {
    fn around(values: impl Iterator<Item = f64> + Clone) -> Self {
        let least = values.clone().fold(f64::MAX, f64::min).log10();
        let greatest = values.fold(f64::MIN_POSITIVE, f64::max).log10();
        let low = least.floor();
        let high = greatest.ceil().max(low + 1.0);
        Self { low, high }
    }

    /// 0 at the axis's beginning, 1 at its end.
    fn place(self, value: f64) -> f64 {
        (value.log10() - self.low) / (self.high - self.low)
    }

    fn decades(self) -> impl Iterator<Item = f64> {
        std::iter::successors(Some(self.low), |decade| Some(decade + 1.0))
            .take_while(move |decade| *decade <= self.high)
            .map(|decade| 10_f64.powf(decade))
    }
}

/// The picture.
pub(crate) fn svg(title: &str, across: &str, up: &str, series: &[Series]) -> String {
    let all = series.iter().flat_map(|series| series.points.iter());
    let horizontal = Axis::around(all.clone().map(|point| point.0));
    let vertical = Axis::around(all.map(|point| point.1));
    let x = |value: f64| MARGIN + horizontal.place(value) * (WIDTH - 2.0 * MARGIN);
    let y = |value: f64| HEIGHT - MARGIN - vertical.place(value) * (HEIGHT - 2.0 * MARGIN);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{MARGIN}\" y=\"20\" font-size=\"14\">{title}</text>\n\
         <text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{across}</text>\n\
         <text x=\"{MARGIN}\" y=\"40\">{up}</text>\n",
        WIDTH / 2.0,
        HEIGHT - 12.0,
    );
    let (left, right) = (MARGIN, WIDTH - MARGIN);
    let (top, bottom) = (MARGIN, HEIGHT - MARGIN);
    for value in horizontal.decades() {
        let (at, label) = (x(value), round(value));
        text += &format!(
            "<path d=\"M{at:.1} {top}V{bottom}\" stroke=\"#ddd\"/>\
             <text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{label}</text>\n",
            bottom + 16.0
        );
    }
    for value in vertical.decades() {
        let (at, label) = (y(value), round(value));
        text += &format!(
            "<path d=\"M{left} {at:.1}H{right}\" stroke=\"#ddd\"/>\
             <text x=\"{}\" y=\"{at:.1}\" text-anchor=\"end\">{label}</text>\n",
            left - 6.0
        );
    }
    for ((index, series), colour) in series.iter().enumerate().zip(COLOURS.iter().cycle()) {
        let points = series.points.iter();
        let points = points.map(|(px, py)| format!("{:.1},{:.1}", x(*px), y(*py)));
        let points = points.collect::<Vec<_>>().join(" ");
        let row = f64::from(u32::try_from(index).unwrap_or(0)).mul_add(16.0, top + 12.0);
        text += &format!(
            "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\
             <text x=\"{}\" y=\"{row}\" text-anchor=\"end\" fill=\"{colour}\">{}</text>\n",
            right - 6.0,
            series.name
        );
    }
    text + "</svg>\n"
}

fn round(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{} M", value / 1e6),
        value if value >= 1e3 => format!("{} k", value / 1e3),
        value => format!("{value:.4}")
            .trim_end_matches('0')
            .trim_end_matches('.')
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_begin_and_end_at_powers_of_ten() {
        let axis = Axis::around([3.0, 400.0].into_iter());
        let decades = axis.decades().map(round).collect::<Vec<_>>();
        assert_eq!(decades, ["1", "10", "100", "1 k"]);
        assert!((axis.place(10.0) - 1.0 / 3.0).abs() < 1e-9);
    }
}
