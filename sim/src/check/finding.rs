//! What was found, and the report that it makes.

use std::fmt;

use aether_bridge::wire::advice::Advice;

/// How a finding bears on conformance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As the protocol has it.
    Ok,
    /// Allowed, and worth knowing.
    Note,
    /// Not as the protocol has it.
    Wrong,
}

macro_rules! checks {
    ($($name:ident = $text:literal,)*) => {
        /// What was looked at.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[allow(missing_docs)] // each is named as it is printed
        pub enum Check { $($name),* }

        impl Check {
            /// The name that is printed.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
        }
    };
}

checks! {
    Connect = "connect", Greeting = "greeting", Reconnect = "reconnect", Reply = "reply",
    StaysConnected = "stays connected", OneReply = "one reply", Echo = "echo",
    UnsolicitedState = "unsolicited state", InTime = "in time", Order = "order", Seq = "seq",
    Delay = "delay", Command = "command", Heartbeat = "heartbeat", UnknownMembers = "unknown members",
    Stop = "stop", AfterAStop = "after a stop", ByteByByte = "byte by byte", TwoLines = "two lines",
    UnknownType = "unknown type", BadLine = "bad line", Unit = "unit", NotChecked = "not checked",
    Replies = "replies", Newline = "newline", LineEnds = "line ends", OneLine = "one line",
    Length = "length", Utf8 = "UTF-8", Nul = "NUL", Json = "JSON", Members = "members",
    Numbers = "numbers", Status = "status", Message = "message", State = "state", Gripper = "gripper",
    Place = "place", Stays = "first command", Directions = "directions", DirectionX = "direction x",
    DirectionY = "direction y", DirectionZ = "direction z", Queue = "queue",
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How it bears on conformance.
    pub verdict: Verdict,
    /// What was looked at.
    pub check: Check,
    /// What was seen, with its value.
    pub seen: String,
    /// Of what is wrong: what the protocol says, and how to mend it.
    pub advice: Option<Advice>,
    /// How many times it was seen.
    pub times: u32,
}

impl Finding {
    pub(super) fn ok(check: Check, seen: impl Into<String>) -> Self {
        Self { verdict: Verdict::Ok, check, seen: seen.into(), advice: None, times: 1 }
    }

    pub(super) fn note(check: Check, seen: impl Into<String>) -> Self {
        Self { verdict: Verdict::Note, ..Self::ok(check, seen) }
    }

    pub(super) fn wrong(check: Check, seen: impl Into<String>, advice: Advice) -> Self {
        Self { verdict: Verdict::Wrong, advice: Some(advice), ..Self::ok(check, seen) }
    }

    /// Whether telling the other too would tell nothing new.
    fn is_like(&self, other: &Self) -> bool {
        (self.verdict, self.check, self.advice) == (other.verdict, other.check, other.advice)
            && (self.verdict == Verdict::Wrong || self.seen == other.seen)
    }
}

impl fmt::Display for Finding {
    /// `ok    newline: …`, and of what is wrong two more lines.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.verdict {
            Verdict::Ok => "ok   ",
            Verdict::Note => "note ",
            Verdict::Wrong => "WRONG",
        };
        write!(formatter, "{word} {}: {}", self.check.as_str(), self.seen)?;
        if let Some(Advice { rule, remedy }) = self.advice {
            write!(formatter, "\n      protocol: {rule}\n      mend:     {remedy}")?;
        }
        Ok(())
    }
}

/// All that was found, in the order in which it was first seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// What was found; nothing twice.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn conformant(&self) -> bool {
        self.count(Verdict::Wrong) == 0
    }

    /// How many findings are of a kind.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.findings.iter().filter(|finding| finding.verdict == verdict).count()
    }

    /// Whether a check has found something wrong.
    pub(super) fn is_wrong(&self, check: Check) -> bool {
        self.findings.iter().any(|finding| finding.verdict == Verdict::Wrong && finding.check == check)
    }

    /// Takes a finding; whether it is a new one.
    pub(super) fn add(&mut self, finding: Finding) -> bool {
        if let Some(known) = self.findings.iter_mut().find(|known| known.is_like(&finding)) {
            known.times += 1;
            return false;
        }
        self.findings.push(finding);
        true
    }
}

impl fmt::Display for Report {
    /// The summary: what is wrong once more, in a line each, and the verdict.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in self.findings.iter().filter(|finding| finding.verdict == Verdict::Wrong) {
            let again = if finding.times > 1 { format!(" ({} times)", finding.times) } else { String::new() };
            writeln!(formatter, "WRONG {}: {}{again}", finding.check.as_str(), finding.seen)?;
        }
        let [ok, notes, wrong] = [Verdict::Ok, Verdict::Note, Verdict::Wrong].map(|kind| self.count(kind));
        let verdict = if wrong == 0 { "conformant" } else { "not conformant" };
        write!(
            formatter,
            "{verdict}: {ok} ok, {notes} note{}, {wrong} wrong",
            if notes == 1 { "" } else { "s" }
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{Advice, Check, Finding, Report};

    const ADVICE: Advice = Advice { rule: "a newline ends it", remedy: "add one" };

    #[test]
    fn a_finding_names_the_check_what_was_seen_the_rule_and_the_way_out() {
        assert_eq!(Finding::ok(Check::Newline, "all 3").to_string(), "ok    newline: all 3");
        assert_eq!(
            Finding::wrong(Check::Newline, "none", ADVICE).to_string(),
            "WRONG newline: none\n      protocol: a newline ends it\n      mend:     add one"
        );
    }

    #[test]
    fn what_is_wrong_again_is_counted_and_not_told_again() {
        let mut report = Report::default();
        assert!(report.conformant());
        assert!(report.add(Finding::wrong(Check::Newline, "at first", ADVICE)));
        assert!(!report.add(Finding::wrong(Check::Newline, "later", ADVICE)));
        assert!(report.add(Finding::note(Check::Newline, "one thing")));
        assert!(report.add(Finding::note(Check::Newline, "another")));
        assert!(!report.conformant());
        assert_eq!(
            report.to_string(),
            "WRONG newline: at first (2 times)\nnot conformant: 0 ok, 2 notes, 1 wrong"
        );
    }
}
