//! Checks the table in `src/lib.rs`: which modules depend on each other, read from the code. Files
//! must not form a circle.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// A module: its path below the crate's root. The root itself is empty.
type Module = Vec<String>;

/// A path that a module uses, from the crate's root.
#[derive(Clone)]
struct Use {
    path: Module,
    /// Its name in the module; `*` for a glob.
    name: String,
    is_export: bool,
}

#[derive(Default)]
struct Crate {
    /// The code of each module that has a file, without comments and tests.
    code: BTreeMap<Module, String>,
    /// The imports by the `use` statements of each module.
    imports: BTreeMap<Module, Vec<Use>>,
}

impl Crate {
    fn read(folder: &str) -> Self {
        Self::of(&files_below(&root().join(folder))).unwrap_or_else(|refusal| panic!("{folder}: {refusal}"))
    }

    /// Reads the files of a crate, each a path and a text. Fails with the reason if a file hides
    /// its dependencies.
    fn of(files: &BTreeMap<String, String>) -> Result<Self, String> {
        let mut read = Self::default();
        let mut unread: BTreeSet<_> = files.keys().collect();
        let mut left = vec![Module::new()];
        while let Some(module) = left.pop() {
            let path = module.join("/");
            let names = if path.is_empty() { vec!["lib.rs".into()] } else { file_names(&path) };
            let file = names.iter().find_map(|name| files.get_key_value(name));
            let (file, text) = file.ok_or_else(|| format!("{path}: declared, but has no file"))?;
            unread.remove(file);
            let code = without_comments_and_tests(text);
            for line in code.lines() {
                if ["extern crate", "#[path", "include!"].iter().any(|hides| line.contains(hides)) {
                    return Err(format!("{file}: {line}"));
                }
                let declared = without_visibility(line).strip_prefix("mod ");
                if let Some(child) = declared.and_then(|rest| rest.strip_suffix(';')) {
                    left.push([module.clone(), vec![child.to_owned()]].concat());
                }
            }
            read.code.insert(module, code);
        }
        unread.retain(|file| !["tests.rs", "properties.rs"].contains(&file.rsplit('/').next().unwrap()));
        if !unread.is_empty() {
            return Err(format!("no `mod` at the start of a line declares {unread:?}"));
        }
        for module in read.code.keys().cloned().collect::<Vec<_>>() {
            let mut imports = Vec::new();
            for (is_export, text) in statements(&read.code[&module]).0 {
                for (path, name) in leaves(text.trim_end_matches(';')) {
                    let Some(path) = read.absolute(&module, &path) else { continue };
                    if path.is_empty() {
                        return Err(format!("{}: use {text} imports the crate's root", module.join("/")));
                    }
                    imports.push(Use { path, name, is_export });
                }
            }
            read.imports.insert(module, imports);
        }
        Ok(read)
    }

    /// Returns the paths that the code of a module uses.
    fn uses(&self, module: &Module) -> Vec<Use> {
        let mut uses = self.imports[module].clone();
        let globs: Vec<_> = uses.iter().filter(|used| used.name == "*" && !used.is_export).cloned().collect();
        // Paths in the code itself, and names that a glob may have imported.
        let rest = statements(&self.code[module]).1;
        for word in rest.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')) {
            let path: Vec<_> = word.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect();
            let Some(first) = path.first() else { continue };
            let named = word.contains("::").then(|| self.absolute(module, &path)).flatten();
            let globbed = globs.iter().map(|glob| [&glob.path[..], std::slice::from_ref(first)].concat());
            let paths = named.into_iter().chain(globbed);
            uses.extend(paths.map(|path| Use { path, name: String::new(), is_export: false }));
        }
        uses
    }

    /// Returns a path, as it is written in a module, from the crate's root; `None` for a path in
    /// another crate.
    fn absolute(&self, module: &Module, path: &[String]) -> Option<Module> {
        let (first, rest) = path.split_first()?;
        let mut base = match first.as_str() {
            "crate" => return Some(rest.to_vec()),
            "self" | "super" => module.clone(),
            _ => {
                let import =
                    self.imports.get(module).and_then(|all| all.iter().find(|used| used.name == *first));
                let child = [module.clone(), vec![first.clone()]].concat();
                let start = if self.code.contains_key(&child) { child } else { import?.path.clone() };
                return Some([&start, rest].concat());
            }
        };
        let is_step = |part: &&String| ["self", "super"].contains(&part.as_str());
        let steps: Vec<_> = path.iter().take_while(is_step).collect();
        steps.iter().filter(|step| **step == "super").for_each(|_| drop(base.pop()));
        Some([&base, &path[steps.len()..]].concat())
    }

    /// Returns the module that defines the target of a path, or the last known module on the path.
    fn definer(&self, path: &[String], seen: &BTreeSet<Module>) -> Module {
        let mut starts = (0..=path.len()).rev().map(|length| &path[..length]);
        starts
            .find_map(|start| self.find(&Module::new(), start, &mut seen.clone()))
            .expect("the root is known")
    }

    /// Returns the module that defines the target of a path that begins in `module`; `None` if no
    /// definition is found.
    fn find(&self, module: &Module, path: &[String], seen: &mut BTreeSet<Module>) -> Option<Module> {
        let Some((first, rest)) = path.split_first() else { return Some(module.clone()) };
        let child = [module.clone(), vec![first.clone()]].concat();
        if self.code.contains_key(&child) {
            return self.find(&child, rest, seen);
        }
        if defines(&self.code[module], first) {
            return Some(module.clone());
        }
        if !seen.insert(child) {
            return None;
        }
        let exports = || self.imports[module].iter().filter(|used| used.is_export);
        if let Some(export) = exports().find(|used| used.name == *first) {
            return Some(self.definer(&[&export.path, rest].concat(), seen));
        }
        let mut globs = exports().filter(|used| used.name == "*");
        globs.find_map(|glob| self.find(&Module::new(), &[&glob.path, path].concat(), seen))
    }

    /// Returns the modules that each file depends on.
    fn arrows(&self) -> BTreeMap<Module, BTreeSet<Module>> {
        let to = |module: &Module| {
            let uses = self.uses(module);
            // A module that exports the definitions of its children does not depend on them.
            let used = uses.iter().filter(|used| !(used.is_export && used.path.starts_with(module)));
            let paths: BTreeSet<_> = used.map(|used| &used.path).collect();
            let others = paths.into_iter().map(|path| self.definer(path, &BTreeSet::new()));
            others.filter(|other| other != module).collect()
        };
        self.code.keys().map(|module| (module.clone(), to(module))).collect()
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the files of a library: their paths below its folder, and their texts.
fn files_below(folder: &Path) -> BTreeMap<String, String> {
    let (mut files, mut left) = (BTreeMap::new(), vec![folder.to_owned()]);
    while let Some(path) = left.pop() {
        let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
        if path.is_dir() && name != "bin" {
            left.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if name.ends_with(".rs") && name != "main.rs" {
            files.insert(name, fs::read_to_string(path).unwrap());
        }
    }
    files
}

/// Returns the possible files of a module.
fn file_names(path: &str) -> Vec<String> {
    vec![format!("{path}.rs"), format!("{path}/mod.rs")]
}

fn without_visibility(line: &str) -> &str {
    let Some(rest) = line.strip_prefix("pub") else { return line };
    let rest = if rest.starts_with('(') { rest.split_once(')').map_or("", |(_, rest)| rest) } else { rest };
    rest.strip_prefix(' ').unwrap_or(line)
}

/// Returns whether a file's code defines an item with this name.
fn defines(code: &str, name: &str) -> bool {
    let kinds = ["fn", "struct", "enum", "trait", "type", "const", "static", "mod"];
    code.lines().any(|line| {
        let line = without_visibility(line);
        let line = ["const fn ", "async fn "]
            .iter()
            .find_map(|kind| line.strip_prefix(kind))
            .or_else(|| line.split_once(' ').filter(|(kind, _)| kinds.contains(kind)).map(|(_, rest)| rest));
        line.and_then(|rest| rest.strip_prefix(name))
            .is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
    })
}

/// Splits a file's code: the trees of its `use` statements, with whether they export, and the rest.
fn statements(code: &str) -> (Vec<(bool, String)>, String) {
    let (mut found, mut rest, mut is_open) = (Vec::new(), String::new(), false);
    for line in code.lines() {
        let start = line.trim_start();
        let bare = without_visibility(start);
        if is_open {
            let (_, text): &mut (bool, String) = found.last_mut().expect("one is open");
            text.push_str(start);
        } else if let Some(tree) = bare.strip_prefix("use ") {
            found.push((bare.len() < start.len(), tree.to_owned()));
            is_open = true;
        } else {
            rest += &format!("{line}\n");
        }
        is_open &= !line.ends_with(';');
    }
    (found, rest)
}

/// Removes comments from a file, and the tests at its end.
fn without_comments_and_tests(text: &str) -> String {
    let lines: Vec<_> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let mut code = String::new();
    let mut place = 0;
    while place < lines.len() {
        if lines[place].starts_with("#[cfg(test)]") {
            let item = lines[place..].iter().position(|line| !line.starts_with("#[")).unwrap();
            let is_inline = lines[place + item].ends_with('{');
            let end = lines[place..].iter().position(|line| ["}", "};"].contains(line)).filter(|_| is_inline);
            place += end.unwrap_or(item) + 1;
            continue;
        }
        let code_of_line = lines[place].split(" // ").next().unwrap_or_default();
        code += &format!("{}\n", code_of_line.trim_end());
        place += 1;
    }
    code
}

/// Returns the paths of a `use` tree, `a::{b, c::{self, d}}`, and their names in the module.
fn leaves(tree: &str) -> Vec<(Vec<String>, String)> {
    let Some((prefix, group)) = tree.split_once('{') else {
        let (path, name) = tree.split_once(" as ").unwrap_or((tree, tree.rsplit("::").next().unwrap()));
        let path = path.trim().split("::").filter(|part| *part != "*" && !part.is_empty());
        return vec![(path.map(str::to_owned).collect(), name.trim().to_owned())];
    };
    let (mut depth, mut items) = (0, vec![String::new()]);
    for c in group.trim_end().strip_suffix('}').expect("rustfmt closes what it opens").chars() {
        depth += i32::from(c == '{') - i32::from(c == '}');
        match c {
            ',' if depth == 0 => items.push(String::new()),
            c => items.last_mut().expect("it begins with one").push(c),
        }
    }
    let prefix: Vec<_> = prefix
        .split("::")
        .filter(|part| !part.trim().is_empty())
        .map(|part| part.trim().to_owned())
        .collect();
    let items = items.iter().filter(|item| !item.trim().is_empty());
    items
        .flat_map(|item| leaves(item.trim()))
        .map(|(leaf, name)| match (&leaf[..], prefix.last()) {
            ([only], Some(last)) if only == "self" => {
                (prefix.clone(), if name == "self" { last.clone() } else { name })
            }
            _ => ([&prefix[..], &leaf].concat(), name),
        })
        .collect()
}

/// Returns files that depend on themselves through others, in the order of these dependencies.
fn circle(arrows: &BTreeMap<Module, BTreeSet<Module>>) -> Option<Vec<&Module>> {
    let mut left: BTreeSet<_> = arrows.keys().collect();
    // A file whose dependencies are all outside of a circle is in no circle.
    while let Some(free) =
        left.iter().find(|module| !arrows[**module].iter().any(|other| left.contains(other)))
    {
        let free = *free;
        left.remove(free);
    }
    let mut way = vec![*left.first()?];
    loop {
        let next = arrows[*way.last()?].iter().find(|other| left.contains(other))?;
        if let Some(start) = way.iter().position(|module| *module == next) {
            way.push(next);
            return Some(way.split_off(start));
        }
        way.push(next);
    }
}

/// Returns the rows of the table in `src/lib.rs`: each module, and the modules that it may use.
fn table() -> Vec<(String, BTreeSet<String>)> {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/lib.rs")).unwrap();
    let mut rows: Vec<(String, BTreeSet<String>)> = Vec::new();
    for row in text.lines().filter_map(|line| line.strip_prefix("//! | ")).skip(1) {
        let cells: Vec<_> = row.split(" | ").collect();
        let names =
            |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<BTreeSet<_>>();
        let may_name = match cells[2].trim_end_matches(" |") {
            "nothing" => BTreeSet::new(),
            "all above" => rows.iter().map(|(module, _)| module.clone()).collect(),
            listed => names(listed),
        };
        let module = names(cells[0]).pop_first().expect("the first cell names the module");
        rows.push((module, may_name));
    }
    rows
}

#[test]
fn files_form_no_circle() {
    for folder in ["src", "sim/src"] {
        let arrows = Crate::read(folder).arrows();
        assert!(arrows.len() > 20, "{folder}: only {} files found", arrows.len());
        if let Some(circle) = circle(&arrows) {
            let files: Vec<_> = circle.iter().map(|module| module.join("/")).collect();
            panic!("{folder}: files name each other in a circle: {}", files.join(" -> "));
        }
    }
}

#[test]
fn modules_name_only_what_the_table_allows() {
    let rows = table();
    let read = Crate::read("src");
    let listed: BTreeSet<_> = rows.iter().map(|(module, _)| module.clone()).collect();
    let found: BTreeSet<_> = read.code.keys().filter_map(|module| module.first().cloned()).collect();
    assert_eq!(found, listed, "the modules of src/, and those of the table in src/lib.rs");
    let entries = fs::read_dir(root().join("src")).unwrap().map(|entry| entry.unwrap().path());
    let stems = entries.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned());
    let inside: BTreeSet<_> = stems.filter(|stem| !["lib", "main"].contains(&stem.as_str())).collect();
    assert_eq!(inside, listed, "what is in src/, and the modules of the table in src/lib.rs");
    let root_uses: Vec<_> = statements(&read.code[&Module::new()]).0;
    assert!(root_uses.is_empty(), "src/lib.rs only declares, but has `use`: {root_uses:?}");
    let arrows = read.arrows();
    for (place, (module, may_name)) in rows.iter().enumerate() {
        let above: BTreeSet<_> = rows[..place].iter().map(|(above, _)| above.clone()).collect();
        assert!(may_name.is_subset(&above), "the table allows {module} to name modules below it");
        for (file, others) in arrows.iter().filter(|(file, _)| file.first() == Some(module)) {
            for other in others.iter().filter_map(|other| other.first()).filter(|other| *other != module) {
                assert!(
                    may_name.contains(other),
                    "{} names {other}, which the table does not allow",
                    file.join("/")
                );
            }
        }
    }
}

#[test]
fn only_ros_names_r2r_and_rcl_ext() {
    let mut files = files_below(&root().join("src"));
    files.insert("main.rs".into(), fs::read_to_string(root().join("src/main.rs")).unwrap());
    for (file, text) in files.iter().filter(|(file, _)| !file.starts_with("ros/")) {
        for line in without_comments_and_tests(text).lines() {
            // The end of the process is the only call that `main` makes itself.
            let is_end = file == "main.rs" && line.trim_start().starts_with("rcl_ext::leave(");
            let names_it =
                ["r2r::", "rcl_ext::", "use r2r", "use rcl_ext"].iter().any(|name| line.contains(name));
            assert!(is_end || !names_it, "src/{file}: {line}");
        }
    }
}

/// Returns the circle in a crate of files `a`, `b` and `p/mod.rs` (which `lib.rs` declares), and of
/// other files.
fn verdict(files: &[(&str, &str)]) -> String {
    let mut all: BTreeMap<String, String> =
        files.iter().map(|(file, text)| (format!("{file}.rs"), format!("{text}\n"))).collect();
    let has = |name: &&&str| file_names(name).iter().any(|file| all.contains_key(file));
    let root: String = ["a", "b", "p"].iter().filter(has).map(|name| format!("pub mod {name};\n")).collect();
    all.entry("lib.rs".into()).or_insert(root);
    match Crate::of(&all).map(|read| read.arrows()) {
        Err(refusal) => format!("refused: {refusal}"),
        Ok(arrows) => circle(&arrows).map_or("none".into(), |way| {
            way.iter().map(|module| module.join("/")).collect::<Vec<_>>().join(" ")
        }),
    }
}

#[test]
fn no_form_of_use_hides_a_circle() {
    let p = "mod x;\nmod y;";
    let globs = "mod x;\nmod y;\npub use x::*;\npub use y::*;";
    let to_a = ("b", "use crate::a::A;\npub struct B;");
    let rows: &[(&str, &[(&str, &str)])] = &[
        ("none", &[("a", "pub struct A;"), to_a]),
        ("a b a", &[("a", "use crate::b::B;\npub struct A;"), to_a]),
        ("a b a", &[("a", "pub(crate) use crate::{\n    b::{self, B},\n};\npub struct A;"), to_a]),
        ("a b a", &[("a", "pub struct A;\nfn f() {\n    crate::b::f();\n}"), to_a]),
        ("a b a", &[("a", "pub struct A;\nfn f() {\n    self::super::b::f();\n}"), to_a]),
        ("a b a", &[("lib", "pub(crate) mod a;\npub(in crate) mod b;"), ("a", "use super::b::B;"), to_a]),
        ("a b a", &[("a", "#[cfg(test)]\nuse x::{\n    y,\n};\nuse crate::b::{B};\nfn f() {\n}"), to_a]),
        (
            "b p/x b",
            &[
                ("p/mod", "pub(super) mod x;"),
                ("p/x", "use self::super::super::b::B;"),
                ("b", "use crate::p::x::X;"),
            ],
        ),
        (
            "p/x p/y p/x",
            &[
                ("p/mod", p),
                ("p/x", "use super as up;\nfn f() {\n    up::y::f();\n}"),
                ("p/y", "use super::x;"),
            ],
        ),
        (
            "p/x p/y p/x",
            &[
                ("p/mod", globs),
                ("p/x", "use super::Y;\npub struct X;"),
                ("p/y", "use super::X;\npub struct Y;"),
            ],
        ),
        (
            "p/x p/y p/x",
            &[
                ("p/mod", globs),
                ("p/x", "use super::*;\npub struct X(Y);"),
                ("p/y", "use super::*;\npub struct Y(X);"),
            ],
        ),
        ("none", &[("p/mod", globs), ("p/x", "use super::*;\npub struct X(Y);"), ("p/y", "pub struct Y;")]),
        ("none", &[("p/mod", globs), ("p/x", "table! {}"), ("p/y", "use super::FROM_A_MACRO;")]),
        ("refused: a: use crate as root; imports the crate's root", &[("a", "use crate as root;")]),
        (
            "refused: a: use crate::{self as root}; imports the crate's root",
            &[("a", "use crate::{self as root};")],
        ),
        ("refused: a: use crate::*; imports the crate's root", &[("a", "use crate::*;")]),
        ("refused: a: use super::*; imports the crate's root", &[("a", "use super::*;")]),
        ("refused: a.rs: extern crate self as root;", &[("a", "extern crate self as root;")]),
        ("refused: a.rs: #[path = \"c.rs\"]", &[("a", "#[path = \"c.rs\"]\nmod c;")]),
        ("refused: a.rs: include!(\"c.rs\");", &[("a", "include!(\"c.rs\");")]),
        (
            "refused: no `mod` at the start of a line declares {\"c.rs\"}",
            &[("a", ""), ("c", ""), ("a/tests", "")],
        ),
    ];
    for (expected, files) in rows {
        assert_eq!(verdict(files), *expected, "{files:?}");
    }
}

#[test]
fn a_circle_is_found_with_its_files() {
    let module = |name: &str| vec![name.to_owned()];
    let arrows = |pairs: &[(&str, &[&str])]| {
        pairs.iter().map(|(from, to)| (module(from), to.iter().map(|to| module(to)).collect())).collect()
    };
    assert_eq!(circle(&arrows(&[("a", &["b", "c"]), ("b", &["c"]), ("c", &[])])), None);
    let closed = arrows(&[("a", &["b"]), ("b", &["c"]), ("c", &["b", "d"]), ("d", &[])]);
    assert_eq!(circle(&closed).unwrap(), ["b", "c", "b"].map(module).iter().collect::<Vec<_>>());
    let leaves = leaves("a::{b, c::{self, d as e}}");
    let leaves: Vec<_> = leaves.iter().map(|(path, name)| format!("{} {name}", path.join("::"))).collect();
    assert_eq!(leaves, ["a::b b", "a::c c", "a::c::d e"]);
}
