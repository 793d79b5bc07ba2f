//! A look into a router's namespace with the tools that an operator has.

use crate::kernel::stage::UP;
use anyhow::{Context, Result, ensure};
use karez_scene::{Site, wait};
use std::process::Command;

/// What an operator would type on the node.
pub trait Inside {
    /// What `ip` prints inside of the router's namespace.
    fn ip(&self, arguments: &[&str]) -> Result<String>;

    /// Links, addresses, rules, routes, SAs, policies, sockets and packet filters, line by line.
    fn everything(&self) -> Result<Vec<String>>;

    /// Waits until that is as it was before.
    fn becomes(&self, before: &[String]) -> Result<()>;
}

impl Inside for Site {
    fn ip(&self, arguments: &[&str]) -> Result<String> {
        run("ip", &[&["-netns", &self.namespace_name()], arguments].concat())
    }

    fn everything(&self) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        for what in [
            "-oneline link show",
            "-oneline address show",
            "rule show",
            "-6 rule show",
            "route show table all",
            "-6 route show table all",
            "xfrm state list nokeys",
            "xfrm policy",
        ] {
            let words: Vec<&str> = what.split(' ').collect();
            lines.extend(self.ip(&words)?.lines().map(|line| format!("ip {what}: {line}")));
        }
        let namespace = self.namespace_name();
        for command in ["nft --stateless list ruleset", "ss --no-header --listening --udp --numeric"] {
            let words = command.split(' ');
            let words: Vec<&str> = ["netns", "exec", &namespace].into_iter().chain(words).collect();
            lines.extend(run("ip", &words)?.lines().map(|line| format!("{command}: {line}")));
        }
        // The kernel gives links such an address by itself, a moment after they are up.
        lines.retain(|line| !line.contains("fe80:"));
        Ok(lines)
    }

    fn becomes(&self, before: &[String]) -> Result<()> {
        let what = format!("{} to be as before", self.namespace_name());
        Ok(wait::until(&what, UP, || {
            let now = self.everything().unwrap_or_default();
            let more: Vec<_> = now.iter().filter(|line| !before.contains(line)).collect();
            let less: Vec<_> = before.iter().filter(|line| !now.contains(line)).collect();
            Ok(if more.is_empty() && less.is_empty() {
                Ok(())
            } else {
                Err(format!("+{more:#?} -{less:#?}"))
            })
        })?)
    }
}

pub fn run(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program).args(arguments).output().with_context(|| format!("run {program}"))?;
    let words = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} {}: {words}", arguments.join(" "));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
