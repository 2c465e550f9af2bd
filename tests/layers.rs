//! The map at the top of `src/lib.rs` is true: who names whom, read from the code, and no circle of files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// A module: its path below the crate's root. The root itself is empty.
type Module = Vec<String>;

#[derive(Default)]
struct Crate {
    /// The code of each module that has a file, without comments and tests.
    code: BTreeMap<Module, String>,
    /// What a module exports under its own path though another defines it: (module, name) to the path of the other.
    exports: BTreeMap<(Module, String), Module>,
}

impl Crate {
    fn read(folder: &str) -> Self {
        let mut read = Self::default();
        read.read_module(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).as_path(), &["lib.rs"], vec![]);
        for module in read.code.keys().cloned().collect::<Vec<_>>() {
            for (is_export, path) in read.uses(&module) {
                if is_export && let Some(name) = path.last() {
                    read.exports.insert((module.clone(), name.clone()), path);
                }
            }
        }
        read
    }

    /// Reads a module's file, which has one of some names, and those of its children.
    fn read_module(&mut self, folder: &Path, names: &[&str], module: Module) {
        let Some(text) = names.iter().find_map(|name| fs::read_to_string(folder.join(name)).ok()) else {
            return;
        };
        let code = without_comments_and_tests(&text);
        for line in code.lines() {
            let declared = line.strip_prefix("pub ").unwrap_or(line).strip_prefix("mod ");
            let Some(child) = declared.and_then(|rest| rest.strip_suffix(';')) else { continue };
            let (file, below) =
                (format!("{child}.rs"), folder.join(module.last().map_or("", String::as_str)));
            // A module `a/b` is `a/b.rs` or `a/b/mod.rs`; its children are in `a/b/`.
            let here = if below.is_dir() && !module.is_empty() { below } else { folder.to_owned() };
            let path = [module.clone(), vec![child.to_owned()]].concat();
            if here.join(child).join("mod.rs").is_file() {
                self.read_module(&here.join(child), &["mod.rs"], path);
            } else {
                self.read_module(&here, &[&file], path);
            }
        }
        self.code.insert(module, code);
    }

    /// The paths that the code of a module names, below the crate's root, and whether it exports them again.
    fn uses(&self, module: &Module) -> Vec<(bool, Module)> {
        let code = &self.code[module];
        let mut paths = Vec::new();
        let mut rest = String::new();
        let mut statement = None;
        for line in code.lines() {
            let start = line.trim_start();
            let bare = start.strip_prefix("pub ").or(start.strip_prefix("pub(super) ")).unwrap_or(start);
            if statement.is_none() && bare.starts_with("use ") {
                statement = Some((bare.len() < start.len(), String::new()));
            }
            match &mut statement {
                Some((_, text)) => text.push_str(line.trim()),
                None => rest += &format!("{line}\n"),
            }
            if line.ends_with(';')
                && let Some((is_export, text)) = statement.take()
            {
                let tree = text.split_once("use ").map_or("", |(_, tree)| tree.trim_end_matches(';'));
                paths.extend(leaves(tree).into_iter().map(|path| (is_export, path)));
            }
        }
        // Paths in the code itself: to the crate, to the parent, and to children.
        let words = rest.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
        paths.extend(words.filter(|word| word.contains("::")).map(|word| {
            (false, word.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect())
        }));
        paths
            .into_iter()
            .filter_map(|(is_export, path)| Some((is_export, self.absolute(module, &path)?)))
            .collect()
    }

    /// A path as it is written in a module, from the crate's root; none for another crate's.
    fn absolute(&self, module: &Module, path: &[String]) -> Option<Module> {
        let (first, rest) = path.split_first()?;
        let parent = || module.split_last().map(|(_, parent)| parent.to_vec());
        match first.as_str() {
            "crate" => Some(rest.to_vec()),
            "self" => Some([module, rest].concat()),
            "super" => {
                let (mut base, mut rest) = (parent()?, rest);
                while rest.first().is_some_and(|part| part == "super") {
                    base.pop();
                    rest = &rest[1..];
                }
                Some([&base, rest].concat())
            }
            _ => {
                let child = [module.clone(), vec![first.clone()]].concat();
                self.code.contains_key(&child).then(|| [module, path].concat())
            }
        }
    }

    /// The module that defines what a path names.
    fn definer(&self, path: &[String]) -> Module {
        let mut module = Module::new();
        for (place, part) in path.iter().enumerate() {
            let child = [module.clone(), vec![part.clone()]].concat();
            if self.code.contains_key(&child) {
                module = child;
            } else if let Some(other) = self.exports.get(&(module.clone(), part.clone()))
                && other[..] != path[..=place]
            {
                return self.definer(other);
            } else {
                break;
            }
        }
        module
    }

    /// Which modules' files each file names.
    fn arrows(&self) -> BTreeMap<Module, BTreeSet<Module>> {
        let to = |module: &Module| {
            let uses = self.uses(module);
            // A module that exports what its children define does not use them.
            let used = uses.iter().filter(|(is_export, path)| !(*is_export && path.starts_with(module)));
            used.map(|(_, path)| self.definer(path)).filter(|other| other != module).collect()
        };
        self.code.keys().map(|module| (module.clone(), to(module))).collect()
    }
}

/// Cut from a file: what is no code, and the tests at its end.
fn without_comments_and_tests(text: &str) -> String {
    let lines: Vec<_> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let mut code = String::new();
    let mut place = 0;
    while place < lines.len() {
        if lines[place].starts_with("#[cfg(test)]") {
            let item = lines[place..].iter().position(|line| !line.starts_with("#[")).unwrap();
            let is_inline = lines[place + item].ends_with('{');
            let end = lines[place..].iter().position(|line| *line == "}").filter(|_| is_inline);
            place += end.unwrap_or(item) + 1;
            continue;
        }
        let code_of_line = lines[place].split(" // ").next().unwrap_or_default();
        code += &format!("{}\n", code_of_line.trim_end());
        place += 1;
    }
    code
}

/// The paths of a tree of `use`, `a::{b, c::{self, d}}`.
fn leaves(tree: &str) -> Vec<Vec<String>> {
    let Some((prefix, group)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or_default().trim();
        return vec![path.split("::").filter(|part| *part != "*").map(str::to_owned).collect()];
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
        .map(|leaf| [&prefix[..], if leaf == ["self"] { &[] } else { &leaf[..] }].concat())
        .collect()
}

/// The files that come after themselves, in the order of the arrows between them.
fn circle(arrows: &BTreeMap<Module, BTreeSet<Module>>) -> Option<Vec<&Module>> {
    let mut left: BTreeSet<_> = arrows.keys().collect();
    // Whoever names nothing that is left is in no circle.
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

/// The rows of the table in `src/lib.rs`: each module, and which it may name.
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
    for (place, (module, may_name)) in rows.iter().enumerate() {
        let above: BTreeSet<_> = rows[..place].iter().map(|(above, _)| above.clone()).collect();
        assert!(may_name.is_subset(&above), "the table lets {module} name what is below it");
        for (file, others) in read.arrows().iter().filter(|(file, _)| file.first() == Some(module)) {
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
fn a_circle_is_found_with_its_files() {
    let module = |name: &str| vec![name.to_owned()];
    let arrows = |pairs: &[(&str, &[&str])]| {
        pairs.iter().map(|(from, to)| (module(from), to.iter().map(|to| module(to)).collect())).collect()
    };
    assert_eq!(circle(&arrows(&[("a", &["b", "c"]), ("b", &["c"]), ("c", &[])])), None);
    let closed = arrows(&[("a", &["b"]), ("b", &["c"]), ("c", &["b", "d"]), ("d", &[])]);
    assert_eq!(circle(&closed).unwrap(), ["b", "c", "b"].map(module).iter().collect::<Vec<_>>());
    assert_eq!(leaves("a::{b, c::{self, d as e}}").concat().join(" "), "a b a c a c d");
}
