//! Places to keep files.

use serde_json::{Value, json};

use super::columns::{AGE, Column, NAME, UNSET, column, is_ending, items, plain, text_or, wide};
use super::fill::{fields, set_missing};
use super::{CORE, Effect, Kind, STATUS, cluster, namespaced};
use crate::Object;

pub(super) static PERSISTENT_VOLUME_CLAIM: Kind = Kind {
    short_names: &["pvc"],
    subresources: STATUS,
    columns: CLAIM_COLUMNS,
    fill: |claim, _, _| fill_volume(claim, "Pending"),
    ..namespaced(CORE, "v1", "PersistentVolumeClaim", "persistentvolumeclaims")
};

pub(super) static PERSISTENT_VOLUME: Kind = Kind {
    short_names: &["pv"],
    subresources: STATUS,
    columns: VOLUME_COLUMNS,
    fill: |volume, _, _| {
        fill_volume(volume, "Pending");
        if let Some(spec) = volume.value.as_object_mut().and_then(|volume| fields(volume, "spec")) {
            set_missing(spec, [("persistentVolumeReclaimPolicy", json!("Retain"))]);
        }
    },
    ..cluster(CORE, "v1", "PersistentVolume", "persistentvolumes")
};

pub(super) static STORAGE_CLASS: Kind = Kind {
    short_names: &["sc"],
    columns: &[
        NAME_OF_CLASS,
        column("Provisioner", |class, _| json!(text_or(&class.value["provisioner"], ""))),
        column("ReclaimPolicy", |class, _| json!(text_or(&class.value["reclaimPolicy"], "Delete"))),
        column("VolumeBindingMode", |class, _| {
            json!(text_or(&class.value["volumeBindingMode"], "Immediate"))
        }),
        column("AllowVolumeExpansion", |class, _| json!(class.value["allowVolumeExpansion"] == true)),
        AGE,
    ],
    fill: |object, _, _| {
        if let Some(class) = object.value.as_object_mut() {
            let defaults = [("reclaimPolicy", json!("Delete")), ("volumeBindingMode", json!("Immediate"))];
            set_missing(class, defaults);
        }
    },
    ..cluster(STORAGE, "v1", "StorageClass", "storageclasses")
};

pub(super) static CSI_DRIVER: Kind = Kind {
    columns: &[
        NAME,
        column("AttachRequired", |driver, _| json!(driver.value["spec"]["attachRequired"] != false)),
        column("PodInfoOnMount", |driver, _| json!(driver.value["spec"]["podInfoOnMount"] == true)),
        column("StorageCapacity", |driver, _| json!(driver.value["spec"]["storageCapacity"] == true)),
        column("TokenRequests", |driver, _| {
            let audiences =
                items(&driver.value["spec"]["tokenRequests"]).map(|it| text_or(&it["audience"], ""));
            let audiences: Vec<&str> = audiences.collect();
            json!(if audiences.is_empty() { UNSET.to_owned() } else { audiences.join(",") })
        }),
        column("RequiresRepublish", |driver, _| json!(driver.value["spec"]["requiresRepublish"] == true)),
        column("Modes", |driver, _| {
            let modes: Vec<&str> =
                items(&driver.value["spec"]["volumeLifecycleModes"]).filter_map(Value::as_str).collect();
            json!(if modes.is_empty() { UNSET.to_owned() } else { modes.join(",") })
        }),
        AGE,
    ],
    effect: Effect::Kept,
    ..cluster(STORAGE, "v1", "CSIDriver", "csidrivers")
};

pub(super) static CSI_NODE: Kind = Kind {
    columns: &[
        NAME,
        column("Drivers", |node, _| json!(items(&node.value["spec"]["drivers"]).count().to_string())),
        AGE,
    ],
    effect: Effect::Kept,
    ..cluster(STORAGE, "v1", "CSINode", "csinodes")
};

pub(super) static VOLUME_ATTACHMENT: Kind = Kind {
    subresources: STATUS,
    columns: &[
        NAME,
        column("Attacher", |it, _| json!(text_or(&it.value["spec"]["attacher"], ""))),
        column("PV", |it, _| json!(text_or(&it.value["spec"]["source"]["persistentVolumeName"], ""))),
        column("Node", |it, _| json!(text_or(&it.value["spec"]["nodeName"], ""))),
        column("Attached", |it, _| json!(it.value["status"]["attached"] == true)),
        AGE,
    ],
    effect: Effect::Kept,
    ..cluster(STORAGE, "v1", "VolumeAttachment", "volumeattachments")
};

/// A volume, or a claim to one, is a folder, and begins in a phase.
fn fill_volume(object: &mut Object, phase: &str) {
    let Some(volume) = object.value.as_object_mut() else { return };
    if let Some(spec) = fields(volume, "spec") {
        set_missing(spec, [("volumeMode", json!("Filesystem"))]);
    }
    if let Some(status) = fields(volume, "status") {
        set_missing(status, [("phase", json!(phase))]);
    }
}

const STORAGE: &str = "storage.k8s.io";

/// The class that claims get which name none is marked.
const NAME_OF_CLASS: Column = column("Name", |class, _| {
    let is_default = class.annotation("storageclass.kubernetes.io/is-default-class") == Some("true");
    json!(if is_default { format!("{} (default)", class.name) } else { class.name.clone() })
});

const ATTRIBUTES_CLASS: Column = column("VolumeAttributesClass", |volume, _| {
    json!(text_or(&volume.value["spec"]["volumeAttributesClassName"], UNSET))
});
const VOLUME_MODE: Column =
    wide("VolumeMode", |volume, _| json!(text_or(&volume.value["spec"]["volumeMode"], UNSET)));

const VOLUME_COLUMNS: &[Column] = &[
    NAME,
    column("Capacity", |volume, _| capacity(&volume.value["spec"])),
    column("Access Modes", |volume, _| access_modes(&volume.value["spec"])),
    column("Reclaim Policy", |volume, _| {
        json!(text_or(&volume.value["spec"]["persistentVolumeReclaimPolicy"], "Retain"))
    }),
    column("Status", |volume, _| json!(phase(volume))),
    column("Claim", |volume, _| {
        let claim = &volume.value["spec"]["claimRef"];
        let part = |field: &str| text_or(&claim[field], "");
        json!(if claim.is_object() {
            format!("{}/{}", part("namespace"), part("name"))
        } else {
            String::new()
        })
    }),
    column("StorageClass", |volume, _| json!(text_or(&volume.value["spec"]["storageClassName"], ""))),
    ATTRIBUTES_CLASS,
    column("Reason", |volume, _| json!(text_or(&volume.value["status"]["reason"], ""))),
    AGE,
    VOLUME_MODE,
];

const CLAIM_COLUMNS: &[Column] = &[
    NAME,
    column("Status", |claim, _| json!(phase(claim))),
    column("Volume", |claim, _| json!(text_or(&claim.value["spec"]["volumeName"], ""))),
    column("Capacity", |claim, _| capacity(&claim.value["status"])),
    column("Access Modes", |claim, _| access_modes(&claim.value["status"])),
    column("StorageClass", |claim, _| json!(text_or(&claim.value["spec"]["storageClassName"], ""))),
    ATTRIBUTES_CLASS,
    AGE,
    VOLUME_MODE,
];

fn phase(volume: &Object) -> &str {
    if is_ending(volume) { "Terminating" } else { text_or(&volume.value["status"]["phase"], "") }
}

fn capacity(of: &Value) -> Value {
    let storage = &of["capacity"]["storage"];
    json!(if storage.is_null() { String::new() } else { plain(storage) })
}

fn access_modes(of: &Value) -> Value {
    json!(items(&of["accessModes"]).map(access_mode).collect::<Vec<_>>().join(","))
}

fn access_mode(mode: &Value) -> &str {
    match text_or(mode, "") {
        "ReadWriteOnce" => "RWO",
        "ReadOnlyMany" => "ROX",
        "ReadWriteMany" => "RWX",
        "ReadWriteOncePod" => "RWOP",
        other => other,
    }
}
