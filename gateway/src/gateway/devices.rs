//! Opens the gateways for MQTT-SN devices.

use std::sync::Arc;

use super::{Gateway, StartError, random};
use crate::auth::Anonymous;
use crate::config::{Bind, Config};
use crate::connection::Conditions;
use crate::net::mqtt_sn::SnTask;
use crate::settings;

impl Gateway {
    pub(super) fn serve_mqtt_sn(&mut self, config: &Config) -> Result<(), StartError> {
        for (gateway, (name, counters)) in config.mqtt_sn.iter().zip(&self.shared.mqtt_sn) {
            let conditions = Conditions {
                shared: Arc::clone(&self.shared),
                anonymous: Anonymous::FromLoopback,
                user: Some(gateway.user.as_str().into()),
                write_timeout: None,
            };
            let seed = u64::try_from(random()? >> 64).unwrap_or(0);
            let opened = SnTask::open(
                gateway.clone(),
                settings::mqtt_sn(gateway, seed),
                Arc::new(conditions),
                settings::mqtt_of_sn(config, gateway, &self.shared.mqtt),
                Arc::clone(counters),
            );
            let task = opened.map_err(|source| StartError::MqttSn {
                gateway: name.clone(),
                source,
            })?;
            self.addresses.push(("mqtt_sn", Bind::Tcp(task.address())));
            self.shared.shutdown.spawn("mqtt_sn", task.run());
        }
        Ok(())
    }
}
