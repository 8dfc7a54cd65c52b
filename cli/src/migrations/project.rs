//! The beginning and the end of a project: its folder, and where a server keeps what was applied.

use std::fs;
use std::path::Path;

use super::config::{FILE, FOLDER, MEANS, initial};
use super::metadata::Metadata;
use super::tell;

/// Makes the folder with its configuration.
///
/// # Errors
/// One is there, or the folder can't be made.
pub fn new(folder: &Path, url: &str) -> Result<(), String> {
    crate::client::Client::with_tls(url, None, MEANS).map_err(|error| error.to_string())?;
    let migrations = folder.join(FOLDER);
    fs::create_dir_all(&migrations).map_err(|error| format!("{}: {error}", migrations.display()))?;
    let file = folder.join(FILE);
    let wrong = |error: std::io::Error| format!("{}: {error}", file.display());
    let mut made = fs::File::create_new(&file).map_err(wrong)?;
    std::io::Write::write_all(&mut made, initial(url).as_bytes()).map_err(wrong)?;
    tell(&format!("Created {} and {}", file.display(), migrations.display()));
    Ok(())
}

/// Makes the stream and the table.
///
/// # Errors
/// The server refuses one; what is there already is refused as well.
pub async fn initialize(metadata: &Metadata) -> Result<(), String> {
    for (declaration, what) in
        metadata.declarations().iter().zip([format!("stream {}", metadata.stream), format!("table {}", metadata.table)])
    {
        metadata.run(declaration).await.map_err(|why| format!("the {what} can't be made: {why}"))?;
        tell(&format!("Created {what}"));
    }
    Ok(())
}

/// Drops both, with their topics; what is not there is passed over.
///
/// # Errors
/// The server refuses.
pub async fn destroy(metadata: &Metadata) -> Result<(), String> {
    for (kind, name, listed) in [("TABLE", &metadata.table, "tables"), ("STREAM", &metadata.stream, "streams")] {
        let answer = metadata.run(&format!("SHOW {kind}S;")).await?;
        let names = answer.first().and_then(|entity| entity[listed].as_array()).cloned().unwrap_or_default();
        if !names.iter().filter_map(|source| source["name"].as_str()).any(|there| there.eq_ignore_ascii_case(name)) {
            tell(&format!("There is no {} {name}", kind.to_lowercase()));
            continue;
        }
        for query in writers(metadata, name).await? {
            metadata.run(&format!("TERMINATE {query};")).await?;
        }
        metadata.run(&format!("DROP {kind} {name} DELETE TOPIC;")).await?;
        tell(&format!("Dropped {} {name}", kind.to_lowercase()));
    }
    Ok(())
}

/// The queries that write a stream or a table.
async fn writers(metadata: &Metadata, name: &str) -> Result<Vec<String>, String> {
    let described = metadata.run(&format!("DESCRIBE {name};")).await?;
    let queries = described.first().and_then(|entity| entity["sourceDescription"]["writeQueries"].as_array()).cloned().unwrap_or_default();
    Ok(queries.iter().filter_map(|query| query["id"].as_str().map(str::to_owned)).collect())
}
