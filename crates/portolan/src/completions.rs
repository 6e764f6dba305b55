//! `portolan completions SHELL`: the script that completes commands, options and the names that `explain` knows.
//!
//! clap_complete writes it from the options themselves. For fish and PowerShell it leaves positional values out; the
//! names of `explain` are added there.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Command, CommandFactory};
use clap_complete::{Shell, generate};

use crate::{cli::Arguments, explain, output};

/// Prints a completion script for a shell
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  source <(portolan completions bash)
  portolan completions zsh > ~/.zfunc/_portolan
  portolan completions fish > ~/.config/fish/completions/portolan.fish")]
pub struct Options {
    /// The shell that will read it.
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the script.
pub fn run(options: &Options) -> Result<ExitCode> {
    output::print(&script(options.shell))?;
    Ok(ExitCode::SUCCESS)
}

/// The program without its hidden commands, which some generators would complete.
fn visible() -> Command {
    let whole = Arguments::command();
    let commands = whole.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    Command::new("portolan")
        .version(env!("CARGO_PKG_VERSION"))
        .propagate_version(true)
        .args(whole.get_arguments().cloned())
        .subcommands(commands)
}

fn script(shell: Shell) -> String {
    let mut command = visible();
    let mut bytes = Vec::new();
    generate(shell, &mut command, "portolan", &mut bytes);
    let script = String::from_utf8_lossy(&bytes).into_owned();
    match shell {
        Shell::Fish => {
            let names: Vec<&str> = explain::topics().collect();
            let names = names.join(" ");
            format!("{script}complete -c portolan -n \"__fish_seen_subcommand_from explain\" -f -a \"{names}\"\n")
        }
        Shell::PowerShell => {
            let value = |name: &str| {
                format!(
                    "            [CompletionResult]::new('{name}', '{name}', [CompletionResultType]::ParameterValue, '{name}')\n"
                )
            };
            let names: String = explain::topics().map(value).collect();
            let head = "'portolan;explain' {\n";
            script.replacen(head, &format!("{head}{names}"), 1)
        }
        _ => script,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_completes_the_names_of_explain() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::PowerShell] {
            let script = script(shell);
            for name in ["SyncLoadBalancerFailed", "selector-matches-no-pod", "AllocationFailed", "diagnose"] {
                assert!(script.contains(name), "{shell}: {name}");
            }
            for hidden in ["portolan;world", "portolan__world", "portolan__subcmd__world", "portolan;probe"] {
                assert!(!script.contains(hidden), "{shell}: {hidden} is hidden");
            }
        }
    }
}
