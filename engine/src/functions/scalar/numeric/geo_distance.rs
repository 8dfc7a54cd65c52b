//! GEO_DISTANCE: the great-circle distance of two points.

use super::prelude::*;

const EARTH_RADIUS_KM: f64 = 6371.0;
const EARTH_RADIUS_MILES: f64 = 3959.0;

const LAT1: Param = param("lat1", ParamType::Double, "Latitude of the first point in degrees, -90 to 90.");
const LON1: Param = param("lon1", ParamType::Double, "Longitude of the first point in degrees, -180 to 180.");
const LAT2: Param = param("lat2", ParamType::Double, "Latitude of the second point.");
const LON2: Param = param("lon2", ParamType::Double, "Longitude of the second point.");

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "GEO_DISTANCE",
    spelling: "GEO_DISTANCE",
    category: Category::Mathematical,
    description: "The great-circle distance of two points given by latitude and longitude in degrees: in kilometres, or in miles where the unit is 'MI' or 'MILES'. No unit, a null or an empty one, means kilometres.",
    examples: &[example("GEO_DISTANCE(0.0, 0.0, 0.0, 0.0)", "0.0")],
    variants: &[
        ScalarVariant::plain("In kilometres.", &[LAT1, LON1, LAT2, LON2], DOUBLE, |args| distance(args, EARTH_RADIUS_KM)),
        ScalarVariant::plain("In a unit.", &[LAT1, LON1, LAT2, LON2, param("units", ParamType::String, "KM or MI.")], DOUBLE, in_unit)
            .called_on_null(),
    ],
};

fn in_unit(args: &mut Args<'_>) -> Outcome {
    if args.values.iter().take(4).any(Value::is_null) {
        return Ok(Value::Null);
    }
    let unit: &str = args.opt(4)?.unwrap_or_default();
    // As Java's trim.
    let radius = match unit.trim_matches(|c: char| c <= ' ').to_ascii_lowercase().as_str() {
        "" => EARTH_RADIUS_KM,
        "mi" | "mile" | "miles" => EARTH_RADIUS_MILES,
        "km" | "kilometer" | "kilometers" | "kilometre" | "kilometres" => EARTH_RADIUS_KM,
        _ => return Err(EvalError::new(format!("GEO_DISTANCE knows the units KM and MI, not {unit}"))),
    };
    distance(args, radius)
}

fn distance(args: &mut Args<'_>, radius: f64) -> Outcome {
    let degrees = |index: usize, limit: f64| -> Result<f64, EvalError> {
        let degrees: f64 = args.get(index)?;
        // As in Java, NaN is not beyond the limit.
        if degrees.abs() > limit { Err(EvalError::new(format!("the angle {degrees} is not within {limit} degrees"))) } else { Ok(degrees) }
    };
    let (lat1, lon1, lat2, lon2) = (degrees(0, 90.0)?, degrees(1, 180.0)?, degrees(2, 90.0)?, degrees(3, 180.0)?);
    // Each step as Java takes it, so that the last digits are the same: differences in degrees, then radians.
    let haversine = |degrees: f64| (degrees.to_radians() / 2.0).sin().powi(2);
    let a = haversine(lat2 - lat1) + haversine(lon2 - lon1) * lat1.to_radians().cos() * lat2.to_radians().cos();
    Ok(Value::Double(2.0 * a.sqrt().asin() * radius))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    fn km(points: [f64; 4], unit: Option<&str>) -> f64 {
        let args: Vec<Value> = points.map(Value::Double).into_iter().chain(unit.map(s)).collect();
        match call(&FUNCTION, &args, &[]) {
            Ok(Value::Double(distance)) => distance,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn distances() {
        for (points, unit, expected) in [
            ([37.4439, -122.1663, 51.5257, -0.1122], None, 8_634.659_796_579_544),
            ([51.5074, -0.1278, 40.7128, -74.006], Some("MI"), 3_461.389_045_610_198_5),
            ([51.5074, -0.1278, 40.7128, -74.006], Some("km"), 5_570.222_179_737_958),
            ([90.0, 0.0, -90.0, 0.0], None, 20_015.086_796_020_572),
            ([39.186_603_74, -76.732_621_44, 39.186_603_74, -76.732_221_45], None, 0.034_473_668_114_483_24),
        ] {
            assert!((km(points, unit) - expected).abs() < 1e-8, "{points:?}: {}", km(points, unit));
        }
        let points = [51.5074, -0.1278, 40.7128, -74.006];
        assert_eq!(
            (km(points, Some(" Miles ")), km(points, Some(" ")), km(points, Some(""))),
            (km(points, Some("mi")), km(points, None), km(points, None))
        );
        let [a, b, c, d] = points.map(Value::Double);
        check(&FUNCTION, &[a.clone(), b.clone(), c.clone(), d, NULL], Value::Double(km(points, None)));
        check(&FUNCTION, &[a, b, c, NULL, NULL], NULL);
        check_fails(&FUNCTION, &[Value::Double(91.0), Value::Double(0.0), Value::Double(0.0), Value::Double(0.0)]);
        check_fails(&FUNCTION, &[Value::Double(0.0), Value::Double(0.0), Value::Double(0.0), Value::Double(0.0), s("parsec")]);
    }
}
