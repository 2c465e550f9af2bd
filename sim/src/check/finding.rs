//! The findings of a check, and the report of all findings.

use std::fmt;

use aether_bridge::wire::advice::Advice;

/// The verdict of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Conforms to the protocol.
    Ok,
    /// Allowed, and worth knowing.
    Note,
    /// Does not conform to the protocol.
    Wrong,
}

macro_rules! checks {
    ($($name:ident = $text:literal,)*) => {
        /// The subject of a finding.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[allow(missing_docs)] // each is named as it is printed
        pub enum Check { $($name),* }

        impl Check {
            /// Returns the printed name.
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
    Place = "position", Stays = "first command", Directions = "directions", DirectionX = "direction x",
    DirectionY = "direction y", DirectionZ = "direction z", Queue = "queue", Measured = "measured",
    SecondClient = "second client", GoneClient = "gone client",
}

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The verdict.
    pub verdict: Verdict,
    /// The subject.
    pub check: Check,
    /// What was observed, with its value.
    pub seen: String,
    /// The rule of the protocol and a fix, if the verdict is [`Verdict::Wrong`].
    pub advice: Option<Advice>,
    /// How many times it was observed.
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

    /// Returns whether a second finding adds no information to the first.
    fn is_like(&self, other: &Self) -> bool {
        (self.verdict, self.check, self.advice) == (other.verdict, other.check, other.advice)
            && (self.verdict == Verdict::Wrong || self.seen == other.seen)
    }
}

impl fmt::Display for Finding {
    /// Writes `ok    newline: …`, and two more lines if the finding is wrong.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.verdict {
            Verdict::Ok => "ok   ",
            Verdict::Note => "note ",
            Verdict::Wrong => "WRONG",
        };
        write!(formatter, "{word} {}: {}", self.check.as_str(), self.seen)?;
        if let Some(Advice { rule, remedy }) = self.advice {
            write!(formatter, "\n      protocol: {rule}\n      fix:      {remedy}")?;
        }
        Ok(())
    }
}

/// All findings, in the order of their first occurrence.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The findings, without duplicates.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Returns whether nothing is wrong.
    pub fn conformant(&self) -> bool {
        self.count(Verdict::Wrong) == 0
    }

    /// Returns the number of findings with a verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.findings.iter().filter(|finding| finding.verdict == verdict).count()
    }

    /// Returns whether a check has found something wrong.
    pub(super) fn is_wrong(&self, check: Check) -> bool {
        self.findings.iter().any(|finding| finding.verdict == Verdict::Wrong && finding.check == check)
    }

    /// Adds a finding. Returns whether it is new.
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
    /// Writes the summary: each wrong finding in one line, and the verdict.
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
    fn wrong_finding_shows_rule_and_fix() {
        assert_eq!(Finding::ok(Check::Newline, "all 3").to_string(), "ok    newline: all 3");
        assert_eq!(
            Finding::wrong(Check::Newline, "none", ADVICE).to_string(),
            "WRONG newline: none\n      protocol: a newline ends it\n      fix:      add one"
        );
    }

    #[test]
    fn repeated_finding_is_counted_not_printed() {
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
