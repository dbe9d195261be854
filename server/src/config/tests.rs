#![allow(clippy::unwrap_used, clippy::expect_used)]

use proptest::prelude::*;

use super::*;

const NPUB: &str = "npub180cvv07tjdrrgpa0j7j7tmnyl2yr6yr7l8j4s3evf6u64th6gkwsyjh6w6";

fn nothing(_: &str) -> Option<String> {
    None
}

/// Settings from one source, by name.
fn from(values: &'static [(&'static str, &'static str)]) -> impl Fn(&str) -> Option<String> {
    move |name| values.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
}

fn environment(values: &'static [(&'static str, &'static str)]) -> Result<Config, Vec<ConfigError>> {
    Config::load(&Cli::default(), from(values), nothing).map(|(config, _)| config)
}

fn messages(values: &'static [(&'static str, &'static str)]) -> String {
    let errors = environment(values).expect_err("something is wrong with these");
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_first_start_needs_no_configuration() {
    let config = environment(&[]).unwrap();
    assert_eq!(config.bind_address, "127.0.0.1:7334".parse().unwrap());
    assert_eq!(config.git_data_path, GitData::Path("./data/git".into()));
    assert_eq!(config.relay_data_path, PathBuf::from("./data/relay"));
    assert_eq!(config.database_backend, Backend::Lmdb);
    assert_eq!(config.max_push_bytes, 2 << 30);
    assert_eq!(config.max_message_bytes, 4 << 20);
    assert_eq!(config.purgatory_expiry, Duration::from_secs(1800));
    assert_eq!(config.domain_at(config.bind_address).to_string(), "127.0.0.1:7334");
    assert!(config.repository_whitelist.is_empty() && config.trusted_proxy_cidrs.is_empty());
}

#[test]
fn the_command_line_wins_over_the_environment_over_dotenv_over_defaults() {
    let cli = Cli::of([("NGIT_MAX_LIMIT", "1001")]);
    let environment = from(&[("NGIT_MAX_LIMIT", "1002"), ("NGIT_MAX_FILTERS", "12")]);
    let dotenv =
        from(&[("NGIT_MAX_LIMIT", "1003"), ("NGIT_MAX_FILTERS", "13"), ("NGIT_MAX_SUBSCRIPTIONS", "14")]);
    let (config, values) = Config::load(&cli, environment, dotenv).unwrap();
    assert_eq!((config.max_limit, config.max_filters, config.max_subscriptions), (1001, 12, 14));
    let origin = |name: &str| values.iter().find(|value| value.setting.name == name).unwrap().origin;
    assert_eq!(origin("NGIT_MAX_LIMIT"), Origin::CommandLine);
    assert_eq!(origin("NGIT_MAX_FILTERS"), Origin::Environment);
    assert_eq!(origin("NGIT_MAX_SUBSCRIPTIONS"), Origin::DotEnv);
    assert_eq!(origin("NGIT_DEFAULT_LIMIT"), Origin::Default);
    assert_eq!(values.len(), SETTINGS.len());
}

#[test]
fn unset_and_empty_are_the_same_in_every_source() {
    let blank = |_: &str| Some("  ".to_owned());
    let cli = Cli::of(SETTINGS.iter().map(|setting| (setting.name, "")));
    let (_, values) = Config::load(&cli, blank, blank).unwrap();
    assert!(values.iter().all(|value| value.origin == Origin::Default));
}

#[test]
fn an_empty_flag_lets_the_environment_speak() {
    let cli = Cli::of([("NGIT_DOMAIN", "")]);
    let (config, _) = Config::load(&cli, from(&[("NGIT_DOMAIN", "git.example.org")]), nothing).unwrap();
    assert_eq!(config.domain.unwrap().to_string(), "git.example.org");
}

#[test]
fn all_errors_are_told_at_once_with_variable_value_and_example() {
    let told = messages(&[
        ("NGIT_BIND_ADDRESS", "everywhere"),
        ("NGIT_DATABASE_BACKEND", "postgres"),
        ("NGIT_MAX_PUSH_BYTES", "lots"),
    ]);
    for part in
        ["NGIT_BIND_ADDRESS", "everywhere", "0.0.0.0:7334", "postgres", "lmdb nor memory", "lots", "500MiB"]
    {
        assert!(told.contains(part), "{part} is missing in: {told}");
    }
    assert_eq!(told.lines().count(), 3, "{told}");
}

#[test]
fn every_setting_that_can_be_wrong_names_its_variable_and_an_example() {
    for setting in SETTINGS {
        let wrong = |name: &str| (name == setting.name).then(|| "\u{1}\0 :// npub1x".to_owned());
        let Err(errors) = Config::load(&Cli::default(), wrong, nothing) else {
            panic!("{} takes anything", setting.name)
        };
        let told = errors[0].to_string();
        assert!(told.contains(setting.name) && told.contains(setting.example), "{told}");
    }
}

#[test]
fn every_example_is_accepted_unless_it_is_a_pattern() {
    for setting in SETTINGS.iter().filter(|setting| !setting.example.contains('…')) {
        let given = |name: &str| (name == setting.name).then(|| setting.example.to_owned());
        if let Err(errors) = Config::load(&Cli::default(), given, nothing) {
            panic!("{}", errors[0]);
        }
    }
}

#[test]
fn the_default_limit_may_not_exceed_the_most() {
    assert_eq!(environment(&[("NGIT_MAX_LIMIT", "100")]).unwrap().default_limit, 100);
    let told = messages(&[("NGIT_MAX_LIMIT", "100"), ("NGIT_DEFAULT_LIMIT", "101")]);
    assert!(told.contains("NGIT_DEFAULT_LIMIT") && told.contains("NGIT_MAX_LIMIT, which is 100"), "{told}");
}

#[test]
fn archiving_that_contradicts_itself_is_refused_with_the_way_out() {
    let contradicts = |values: &'static [(&'static str, &'static str)], name: &str, why: &str| {
        let told = messages(values);
        assert!(told.starts_with(name) && told.contains(why) && told.contains("for example"), "{told}");
        assert_eq!(told.lines().count(), 1, "{told}");
    };
    contradicts(&[("NGIT_ARCHIVE_READ_ONLY", "true")], "NGIT_ARCHIVE_READ_ONLY", "none is archived");
    contradicts(
        &[("NGIT_ARCHIVE_ALL", "true"), ("NGIT_ARCHIVE_WHITELIST", "project")],
        "NGIT_ARCHIVE_ALL",
        "NGIT_ARCHIVE_WHITELIST would choose nothing",
    );
    contradicts(
        &[("NGIT_ARCHIVE_ALL", "true"), ("NGIT_ARCHIVE_GRASP_SERVICES", "grasp.example.net")],
        "NGIT_ARCHIVE_ALL",
        "NGIT_ARCHIVE_GRASP_SERVICES would choose nothing",
    );
    contradicts(
        &[("NGIT_ARCHIVE_WHITELIST", "project"), ("NGIT_SYNC_ENABLE", "false")],
        "NGIT_SYNC_ENABLE",
        "which only sync brings",
    );
    contradicts(
        &[("NGIT_ARCHIVE_WHITELIST", "one,project"), ("NGIT_REPOSITORY_BLACKLIST", "project")],
        "NGIT_ARCHIVE_WHITELIST",
        "NGIT_REPOSITORY_BLACKLIST refuses",
    );
    contradicts(
        &[("NGIT_ARCHIVE_GRASP_SERVICES", "git.example.org"), ("NGIT_DOMAIN", "git.example.org")],
        "NGIT_ARCHIVE_GRASP_SERVICES",
        "which is this service",
    );
    assert!(messages(&[("NGIT_ARCHIVE_GRASP_SERVICES", "https://a.example")]).contains("is a URL"));
}

#[test]
fn what_is_archived_is_read_only_unless_the_operator_says_otherwise() {
    assert!(environment(&[("NGIT_ARCHIVE_WHITELIST", "project")]).unwrap().archive_read_only);
    let open = environment(&[("NGIT_ARCHIVE_ALL", "true"), ("NGIT_ARCHIVE_READ_ONLY", "false")]).unwrap();
    assert!(!open.archive_read_only);
    assert!(
        environment(&[("NGIT_ARCHIVE_READ_ONLY", "false")]).is_ok(),
        "a word that changes nothing is none too many"
    );
}

#[test]
fn sizes_are_understood_with_and_without_units() {
    let size = |text: &str| parse::size::<u64>(0, 1 << 50)(text);
    assert_eq!(size("2GiB"), Ok(2 << 30));
    assert_eq!(size("500MiB"), Ok(500 << 20));
    assert_eq!(size("500 mib"), Ok(500 << 20));
    assert_eq!(size("1048576"), Ok(1 << 20));
    assert_eq!(size("5MB"), Ok(5_000_000));
    for wrong in ["", "GiB", "2.5GiB", "-1", "1M", "99999999999999999999", "9999999TiB"] {
        assert!(size(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn memory_keeps_git_data_in_a_temporary_folder_unless_a_path_is_given() {
    let config = environment(&[("NGIT_DATABASE_BACKEND", "memory")]).unwrap();
    assert_eq!(config.git_data_path, GitData::Temporary);
    let config =
        environment(&[("NGIT_DATABASE_BACKEND", "memory"), ("NGIT_GIT_DATA_PATH", "./data/git")]).unwrap();
    assert_eq!(config.git_data_path, GitData::Path("./data/git".into()));
}

#[test]
fn the_domain_defaults_to_the_bind_address() {
    let config = environment(&[("NGIT_BIND_ADDRESS", "127.0.0.1:0")]).unwrap();
    let at = |bound: &str| config.domain_at(bound.parse().unwrap()).to_string();
    assert_eq!(at("127.0.0.1:4711"), "127.0.0.1:4711");
    assert_eq!(at("0.0.0.0:4711"), "localhost:4711");
    assert_eq!(at("[::]:4711"), "localhost:4711");
    assert_eq!(at("[::1]:4711"), "[::1]:4711");
    let config = environment(&[("NGIT_DOMAIN", "Git.Example.org:443")]).unwrap();
    assert_eq!(config.domain_at("127.0.0.1:4711".parse().unwrap()).to_string(), "git.example.org");
}

#[test]
fn a_url_is_no_domain() {
    assert!(messages(&[("NGIT_DOMAIN", "https://git.example.org")]).contains("is a URL"));
}

#[test]
fn rules_are_an_author_a_repository_or_a_name() {
    let text = format!("{NPUB}, {NPUB}/my project,spam");
    let rules = parse::rules(&text).unwrap();
    assert_eq!(
        rules.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        text.replace(",spam", ", spam")
    );
    let RepositoryRule::Owner(owner) = rules[0].clone() else { panic!("{rules:?}") };
    let repository =
        |name: &str| crate::nip34::Coordinate::new(owner, crate::nip34::Identifier::new(name).unwrap());
    assert!(rules[0].covers(&repository("x")) && rules[0].covers_author(&owner));
    assert!(rules[1].covers(&repository("my project")) && !rules[1].covers(&repository("x")));
    assert!(rules[2].covers(&repository("spam")) && !rules[2].covers(&repository("x")));
    assert!(!rules[1].covers_author(&owner) && !rules[2].covers_author(&owner));
}

#[test]
fn a_malformed_npub_stops_the_start() {
    for name in ["NGIT_REPOSITORY_WHITELIST", "NGIT_REPOSITORY_BLACKLIST", "NGIT_EVENT_BLACKLIST"] {
        for value in ["npub1nonsense", "npub1nonsense/name", "alice/name"] {
            let given = |asked: &str| (asked == name).then(|| value.to_owned());
            let errors = Config::load(&Cli::default(), given, nothing).unwrap_err();
            let told = errors[0].to_string();
            assert!(told.contains(name) && told.contains("malformed npub"), "{told}");
        }
    }
    let hex = "3bf0c63fcb93463407af97a5e5ee64fa883d107ef9e558472c4eb9aaaefa459d";
    assert_eq!(hex.parse::<RepositoryRule>(), Err(NotARule::HexKey));
    assert!(matches!(format!("{NPUB}/").parse::<RepositoryRule>(), Err(NotARule::Identifier(_))));
}

#[test]
fn keys_are_never_shown() {
    const NSEC: &str = "nsec1vl029mgpspedva04g90vltkh6fvh240zqtv9k0t9af8935ke9laqsnlfe5";
    let (config, values) =
        Config::load(&Cli::default(), from(&[("NGIT_RELAY_OWNER_NSEC", NSEC)]), nothing).unwrap();
    let shown = values.iter().map(ToString::to_string).collect::<String>() + &format!("{config:?}{values:?}");
    assert!(
        !shown.contains(NSEC)
            && !shown.contains("67dea2ed018072d675f5415ecfaed7d2597555e202d85b3d65ea4e58d2d92ffa")
    );
    let told =
        messages(&[("NGIT_RELAY_OWNER_NSEC", "nsec1broken"), ("NGIT_EVENT_BLACKLIST", "nsec1misplaced")]);
    assert!(!told.contains("nsec1broken") && !told.contains("nsec1misplaced"), "{told}");
}

#[test]
fn a_lone_word_in_the_log_level_is_a_level() {
    assert!(parse::log_level("info,grasp_server::relay=debug").is_ok());
    assert!(parse::log_level("WARN").is_ok());
    assert!(parse::log_level("verbose").unwrap_err().contains("verbose"));
    assert!(parse::log_level("grasp_server=loud").is_err());
}

#[test]
fn networks_may_be_single_addresses() {
    let networks = parse::networks("127.0.0.1, 10.0.0.0/8, ::1/128").unwrap();
    assert_eq!(networks.len(), 3);
    assert!(parse::networks("10.0.0.0/33").is_err());
}

#[test]
fn flags_come_from_the_table_and_the_command_is_sound() {
    Cli::command().debug_assert();
    let matches = Cli::command()
        .try_get_matches_from([
            "grasp-server",
            "--max-limit",
            "7000",
            "check-config",
            "--domain",
            "a.example",
        ])
        .unwrap();
    let cli = Cli::from_matches(&matches);
    assert_eq!(cli.get("NGIT_MAX_LIMIT").as_deref(), Some("7000"));
    assert_eq!(cli.get("NGIT_DOMAIN").as_deref(), Some("a.example"));
    assert_eq!(cli.get("NGIT_BIND_ADDRESS"), None);
}

#[test]
fn names_that_are_no_settings_are_noticed() {
    let names = ["NGIT_DOMIAN", "NGIT_DOMAIN", "PATH"].map(str::to_owned);
    assert_eq!(unknown_names(names), ["NGIT_DOMIAN"]);
}

proptest! {
    #[test]
    fn no_value_of_any_setting_makes_loading_panic(value in "\\PC{0,40}", at in 0..SETTINGS.len()) {
        let given = |name: &str| (name == SETTINGS[at].name).then(|| value.clone());
        let _ = Config::load(&Cli::default(), given, nothing);
    }

    #[test]
    fn a_rule_that_parses_means_what_it_shows(text in "\\PC{1,40}") {
        if let Ok(rule) = text.parse::<RepositoryRule>() {
            prop_assert_eq!(rule.to_string().parse::<RepositoryRule>().unwrap(), rule);
        }
    }
}
