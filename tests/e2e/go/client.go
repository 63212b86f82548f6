// Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0

// Gets a token, and uses it, with golang.org/x/oauth2. Reads {base, id,
// secret, style, scopes, params} as JSON from stdin, prints what the library
// made of the answers as JSON.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

type ask struct {
	Base, ID, Secret, Style string
	Scopes                  []string
	Params                  url.Values
}

var styles = map[string]oauth2.AuthStyle{
	"auto":  oauth2.AuthStyleAutoDetect,
	"basic": oauth2.AuthStyleInHeader,
	"post":  oauth2.AuthStyleInParams,
}

func run(in ask) (map[string]any, error) {
	config := clientcredentials.Config{
		ClientID: in.ID, ClientSecret: in.Secret,
		TokenURL: in.Base + "/api/oauth/token", Scopes: in.Scopes,
		EndpointParams: in.Params, AuthStyle: styles[in.Style],
	}
	token, err := config.Token(context.Background())
	if err != nil {
		return nil, err
	}
	source := oauth2.StaticTokenSource(token)
	answer, err := oauth2.NewClient(context.Background(), source).Get(
		in.Base + "/api/whoami")
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	return map[string]any{
		"access_token": token.AccessToken, "type": token.Type(),
		"valid": token.Valid(), "scope": token.Extra("scope"),
		"expires_in": time.Until(token.Expiry).Seconds(),
		"status":     answer.StatusCode, "whoami": json.RawMessage(body),
	}, nil
}

func main() {
	var in ask
	if err := json.NewDecoder(os.Stdin).Decode(&in); err != nil {
		panic(err)
	}
	out, err := run(in)
	if said, ok := err.(*oauth2.RetrieveError); ok {
		out = map[string]any{"status": said.Response.StatusCode,
			"body": json.RawMessage(said.Body)}
	} else if err != nil {
		out = map[string]any{"problem": err.Error()}
	}
	text, err := json.Marshal(out)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(text))
}
