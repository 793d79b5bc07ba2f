use crate::stage::TwoClouds;
use crate::told::{all_whole, mirrored, reaches, shows};
use anyhow::Result;
use karez_scene::{Wish, random_key};
use serde_json::json;
#[test]
fn dbg() -> Result<()> {
    let clouds = TwoClouds::build("dbg")?;
    let sh = |ns: &str, cmd: &str| {
        let o =
            std::process::Command::new("ip").args(["netns", "exec", ns, "sh", "-c", cmd]).output().unwrap();
        if !o.status.success() {
            eprintln!("DBG! {cmd}: {}", String::from_utf8_lossy(&o.stderr));
        }
        String::from_utf8_lossy(&o.stdout).into_owned()
    };
    let wish = if std::env::var("MAIN").is_ok() {
        Wish::defaults()
    } else {
        Wish::defaults().ike(&json!({"phase1_negotiation_mode": "aggressive"}))
    };
    for round in 0..10 {
        let key = random_key()?;
        for end in [&clouds.one, &clouds.two] {
            sh(&end.site.namespace_name(), "ip neigh flush all");
        }
        sh("kz-dbg-internet", "ip link set to-cloud1 down");
        let begun = std::time::Instant::now();
        let left = clouds.one.connect(&clouds.two.as_peer(), &key, &wish)?;
        let right = clouds.two.connect(&clouds.one.as_peer(), &key, &wish)?;
        for c in [&left, &right] {
            shows(c, "attempt", |s| s.0["events"].to_string().contains("\"attempt\""))?;
        }
        for (i, end) in [&clouds.one, &clouds.two].into_iter().enumerate() {
            let vici = format!(
                "unix://{}/agent/routers/{}/run/charon.vici",
                end.cloud.state_directory().display(),
                end.site.router()
            );
            let f = format!("/tmp/charon{i}.log");
            sh(
                &end.site.namespace_name(),
                &format!("rm -f {f}; swanctl --log --uri {vici} >> {f} 2>&1 & sleep 0.05"),
            );
        }
        sh("kz-dbg-internet", "ip link set to-cloud1 up");
        all_whole(&[&left, &right])?;
        let up = begun.elapsed();
        let ok = reaches(&clouds.one.host, clouds.two.host.addresses()[0]).is_ok();
        let ok2 = reaches(&clouds.two.host, clouds.one.host.addresses()[0]).is_ok();
        eprintln!(
            "DBG round {round} up {up:?} {ok} {ok2} {} {}",
            left.status()?.children().len(),
            right.status()?.children().len()
        );
        std::thread::sleep(std::time::Duration::from_secs(12));
        let t = std::time::Instant::now();
        let m = mirrored(&left, &right);
        let ok3 = reaches(&clouds.one.host, clouds.two.host.addresses()[0]).is_ok();
        eprintln!("DBG   mirrored {} {:?} {ok3}", m.is_ok(), t.elapsed());
        if m.is_err() || !ok3 {
            for (end, c) in [(&clouds.one, &left), (&clouds.two, &right)] {
                let vici = format!(
                    "unix://{}/agent/routers/{}/run/charon.vici",
                    end.cloud.state_directory().display(),
                    end.site.router()
                );
                eprintln!(
                    "DBG# {}",
                    sh(&end.site.namespace_name(), &format!("swanctl --list-sas --uri {vici}"))
                );
                eprintln!("DBG {:#}", c.status()?.0["events"]);
            }
            anyhow::bail!("found");
        }
        left.delete()?;
        right.delete()?;
        std::thread::sleep(std::time::Duration::from_millis(1000));
    }
    clouds.ground.succeeded();
    Ok(())
}
