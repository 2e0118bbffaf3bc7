package dashboard

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// certificate makes a certificate for a name and its key, in two files.
func certificate(t *testing.T, name string) (certificate, key string, pool *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		DNSNames: []string{name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true,
		BasicConstraintsValid: true, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	content, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	require.NoError(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	dir := t.TempDir()
	certificate, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: content})
	require.NoError(t, os.WriteFile(certificate, text, 0o600))
	require.NoError(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
	pool = x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(text))
	return certificate, key, pool
}

// TestBeyondLoopbackReadingNeedsTheToken: with TLS, and under the names of the certificate only.
func TestBeyondLoopbackReadingNeedsTheToken(t *testing.T) {
	cert, key, pool := certificate(t, "blocks.example")
	token := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(token, []byte("secret-of-the-operator\n"), 0o600))
	s := serve(t, Options{Listen: "0.0.0.0:0", Certificate: cert, Key: key, TokenFile: token})
	require.True(t, strings.HasPrefix(s.base, "https://blocks.example:"), s.base)
	port := s.base[strings.LastIndex(s.base, ":")+1:]
	dialer := net.Dialer{}
	s.client.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, "127.0.0.1:"+port)
		}}
	const header, bearer = "Authorization", "Bearer secret-of-the-operator"
	for host, status := range map[string]int{"blocks.example:" + port: 200, "127.0.0.1:" + port: 200, "10.1.2.3": 200,
		"evil.example": 421, "localhost": 421} {
		answer, body := s.ask("GET", "/api/v1/blocks", "", "Host", host, header, bearer)
		assert.Equal(t, status, answer.StatusCode, "%s: %s", host, body)
	}
	for _, path := range []string{"/api/v1/blocks", "/metrics", "/api/v1/events", "/api/v1/blocks/x"} {
		answer, _ := s.ask("GET", path, "")
		assert.Equal(t, http.StatusUnauthorized, answer.StatusCode, path)
	}
	answer, _ := s.ask("GET", "/", "")
	assert.Equal(t, http.StatusOK, answer.StatusCode)
	answer, _ = s.ask("GET", "/api/v1/blocks", "", header, bearer, "Origin", s.base)
	assert.Equal(t, http.StatusOK, answer.StatusCode)
	answer, _ = s.ask("GET", "/api/v1/blocks", "", header, bearer, "Origin",
		strings.Replace(s.base, "https", "http", 1))
	assert.Equal(t, http.StatusForbidden, answer.StatusCode)

	plain, err := http.Get("http://127.0.0.1:" + port + "/")
	require.NoError(t, err)
	defer plain.Body.Close()
	assert.Equal(t, http.StatusBadRequest, plain.StatusCode, "no plain HTTP")
}
