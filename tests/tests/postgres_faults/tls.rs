//! Connections that are encrypted, to a server with a certificate.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use channelcoord::{Backend, Batch, ChangeSet, MetaRecord, Record, Verdict};
use pollster::block_on;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use sqlstore::{OpenError, PostgresBackend, PostgresOptions};
use tempfile::TempDir;

use crate::cluster::Cluster;

/// Who signs certificates.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Authority {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Authority { pem, issuer: Issuer::new(params, key) }
    }
}

/// A server that lets nobody in from the network without TLS. Its certificate is for `127.0.0.1`.
struct Secure {
    cluster: Cluster,
    /// The certificate of the authority that signed the server's, and that of another one.
    root: PathBuf,
    other: PathBuf,
    _dir: TempDir,
}

impl Secure {
    fn new() -> Secure {
        let authority = Authority::new("authority");
        let cluster = Cluster::on_loopback(|data| {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
            let certificate = params.signed_by(&key, &authority.issuer).unwrap();
            fs::write(data.join("server.crt"), certificate.pem()).unwrap();
            fs::write(data.join("server.key"), key.serialize_pem()).unwrap();
            let secret = fs::Permissions::from_mode(0o600);
            fs::set_permissions(data.join("server.key"), secret).unwrap();
            let rules = "local all all trust\nhostssl all all 127.0.0.1/32 trust\n";
            fs::write(data.join("pg_hba.conf"), rules).unwrap();
            "ssl = on\n".to_owned()
        });
        let dir = TempDir::new().unwrap();
        let [root, other] = ["root.pem", "other.pem"].map(|name| dir.path().join(name));
        fs::write(&root, &authority.pem).unwrap();
        fs::write(&other, Authority::new("another authority").pem).unwrap();
        Secure { cluster, root, other, _dir: dir }
    }

    fn open(&self, host: &str, parameters: &str) -> Result<PostgresBackend, OpenError> {
        let port = self.cluster.server.port();
        let url = format!("postgres://postgres@{host}:{port}/postgres?{parameters}");
        PostgresOptions::new(&url)?.instance("one").open()
    }

    /// Opens and uses the store, and asks the server whether its sessions are encrypted.
    fn use_encrypted(&self, host: &str, parameters: &str) {
        let backend = self.open(host, parameters).unwrap();
        let head = block_on(backend.claim(None)).unwrap();
        let record = MetaRecord { name: "a".into(), value: "value".into() };
        let sets = [ChangeSet { puts: vec![Record::Meta(record)], ..ChangeSet::default() }];
        let batch = Batch { epoch: head.epoch, before: head.seq, sets: &sets };
        let verdicts = block_on(backend.commit(batch)).unwrap();
        assert!(matches!(verdicts[..], [Verdict::Applied]), "{verdicts:?}");
        block_on(backend.read(&[channelcoord::meta_key("a")])).unwrap();
        let mut shell = self.cluster.server.shell("public");
        let sessions = |ssl| {
            format!(
                "select count(*) from pg_stat_ssl join pg_stat_activity using (pid) \
                 where application_name like 'chanstore %' and ssl = {ssl}"
            )
        };
        assert!(shell.number(&sessions(true)) >= 2);
        assert_eq!(shell.number(&sessions(false)), 0);
    }
}

#[test]
fn a_connection_is_as_secure_as_it_is_asked_to_be() {
    let secure = Secure::new();
    let (root, other) = (secure.root.display(), secure.other.display());
    secure.use_encrypted("127.0.0.1", "sslmode=require");
    for mode in ["verify-ca", "verify-full"] {
        let with = |root: &dyn std::fmt::Display| format!("sslmode={mode}&sslrootcert={root}");
        secure.use_encrypted("127.0.0.1", &with(&root));
        let refused = secure.open("127.0.0.1", &with(&other)).unwrap_err();
        assert!(matches!(refused, OpenError::Tls(_)), "{refused:?}");
        let unknown = secure.open("127.0.0.1", &format!("sslmode={mode}")).unwrap_err();
        assert!(matches!(unknown, OpenError::Tls(_)), "{unknown:?}");
    }
    // The certificate does not name this host.
    secure.use_encrypted("localhost", &format!("sslmode=verify-ca&sslrootcert={root}"));
    let refused = secure.open("localhost", &format!("sslmode=verify-full&sslrootcert={root}"));
    assert!(matches!(refused, Err(OpenError::Tls(_))), "{refused:?}");
    let plain = secure.open("127.0.0.1", "sslmode=disable").unwrap_err();
    assert!(matches!(plain, OpenError::Denied(_)), "{plain:?}");
}
